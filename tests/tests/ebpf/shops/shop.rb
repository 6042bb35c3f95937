module Shop
  class Cart
    def total
      (1..10_000).sum { |number| price(number) }
    end

    def price(number)
      number * number
    end

    def self.open
      new.total
    end
  end
end

loop { Shop::Cart.open }
