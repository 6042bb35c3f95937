from shop.cart import Cart
while True:
    Cart().total()
