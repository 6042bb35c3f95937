class Cart:
    def total(self):
        return sum(self.prices())

    def prices(self):
        for number in range(10000):
            yield number * number
