# Stops itself below calls of each kind: from Ruby, in a block, below a sort, which is C, in a method of a class' own, and in
# one that was defined by a block.
def stop_here(item)
  $stderr.syswrite("#{Process.pid}\n")
  Process.kill(:STOP, Process.pid)
  item
end

module Trade
  class Shop
    def self.sort
      [1].sort_by { |item| stop_here(item) }
    end

    define_method(:offer) { Shop.sort }
  end
end

def each_one
  yield Trade::Shop.new
end

def descend(depth)
  if depth.zero?
    each_one { |shop| shop.offer }
  else
    descend(depth - 1)
  end
end

descend(5)
