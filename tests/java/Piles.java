import java.util.HashMap;
import java.util.Map;

/** Piles COUNT: so many orders in a map, and then it waits for its input to end. */
public class Piles {
    static class Order {
        final long[] rows = new long[20];
    }

    static final Map<Integer, Order> ORDERS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        for (int i = 0; i < count; i++) {
            ORDERS.put(i, new Order());
        }
        System.gc();
        System.out.println("READY " + count);
        while (System.in.read() >= 0) {}
    }
}
