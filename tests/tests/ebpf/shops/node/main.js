const { Cart } = require('./cart');
for (;;) {
  new Cart().total();
}
