package shop;
class Cart {
    long total() {
        long sum = 0;
        for (int number = 0; number < 1000; number++) {
            sum += price(number) % 7;
        }
        return sum;
    }
    long price(int number) {
        return Long.toString(number * 31L).hashCode();
    }
    public static void main(String[] arguments) {
        while (new Cart().total() > Long.MIN_VALUE) {
        }
    }
}
