# Does work in alpha, beta and gamma, on two threads: alpha below calls of its own, beta in a block that Ruby's own code
# calls, gamma in a block below a sort, which is C. When its input ends it says how many nanoseconds of CPU time each took.
DEPTH = 30
ROUNDS = 3000

def clock
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

class Work
  attr_reader :took

  def initialize
    @took = { "alpha" => 0, "beta" => 0, "gamma" => 0 }
  end

  def alpha
    began = clock
    value = 0
    number = 0
    while (number += 1) < ROUNDS
      value = (value * 31 + number) % 65521
    end
    @took["alpha"] += clock - began
    value
  end

  def self.beta(work)
    began = clock
    value = 0
    number = 0
    while (number += 1) < ROUNDS
      value = (value * 31 + number) % 65521
    end
    work.took["beta"] += clock - began
    value
  end

  def gamma
    [1].sort_by do |value|
      began = clock
      number = 0
      while (number += 1) < ROUNDS
        value = (value * 31 + number) % 65521
      end
      @took["gamma"] += clock - began
      value
    end
  end

  def descend(depth)
    depth.zero? ? alpha : descend(depth - 1)
  end
end

def run(work, chance)
  while true
    number = chance.rand(10)
    if number < 5
      work.descend(DEPTH)
    elsif number < 8
      1.times { Work.beta(work) }
    else
      work.gamma
    end
  end
end

works = [Work.new, Work.new]
works.each_with_index { |work, seed| Thread.new { run(work, Random.new(seed)) } }
$stdin.read
works[0].took.each_key { |name| puts "#{name} #{works.sum { |work| work.took[name] }}" }
$stdout.flush
exit!
