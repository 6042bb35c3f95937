class Cart {
  total() {
    return this.prices().reduce(add, 0);
  }

  prices() {
    const all = [];
    for (let number = 0; number < 1000; number++) {
      all.push(number % 7);
    }
    return all;
  }
}

function add(sum, price) {
  return sum + price;
}

module.exports = { Cart };
