import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;

/** Has had several collections, old and young, and stands still: the VM's own counts are in a system property. */
public class Collected {
    static final Object LARGE = new byte[5_000_000];
    static Object keep;
    static volatile Object young;

    public static void main(String[] args) throws Exception {
        keep = new byte[20][100_000];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 20_000; j++) young = new byte[1000];
            System.gc();
        }
        Thread.sleep(1000);
        StringBuilder b = new StringBuilder();
        for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans())
            b.append(bean.getName()).append('=').append(bean.getCollectionCount()).append(';');
        System.setProperty("collected.counts", b.toString());
        System.out.println("READY " + b);
        System.in.read();
    }
}
