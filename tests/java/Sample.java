import java.io.File;
import java.lang.ref.WeakReference;
import java.util.*;

/**
 * The small program whose cores lie in testdata/cores: a shop with a few orders and one of the commoner
 * oddities each. Prints "READY pid" and then sits still.
 */
public class Sample {
    enum State {
        NEW, PAID, SENT
    }

    static final class Item {
        final String name;
        final int cents;

        Item(String name, int cents) {
            this.name = name;
            this.cents = cents;
        }
    }

    static class Order {
        final long number;
        final List<Item> items = new ArrayList<>();
        State state = State.NEW;
        double weight = Double.NaN;
        boolean gift;

        Order(long number) {
            this.number = number;
        }
    }

    static class Shop {
        static final Map<Long, Order> ORDERS = new HashMap<>();
        static final String NAME = "Käse & 茶";
        static final long[][] STOCK = new long[7][3];
        static WeakReference<Order> latest;
        static Runnable onSale;
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 100; i++) {
            Order o = new Order(i);
            o.state = State.values()[i % 3];
            o.gift = i % 2 == 0;
            for (int j = 0; j <= i % 5; j++) o.items.add(new Item("item " + i + "/" + j, i * j));
            Shop.ORDERS.put(o.number, o);
            Shop.latest = new WeakReference<>(o);
        }
        int n = Shop.ORDERS.size();
        Shop.onSale = () -> System.out.println(n);
        Object lock = new Object();
        Thread clerk = new Thread(() -> {
            synchronized (lock) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    // Nobody interrupts it.
                }
            }
        }, "clerk");
        clerk.setDaemon(true);
        clerk.start();
        System.gc();
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
