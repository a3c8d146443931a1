import java.io.File;
import org.graalvm.visualvm.lib.jfluid.heap.Heap;
import org.graalvm.visualvm.lib.jfluid.heap.HeapFactory;
import org.graalvm.visualvm.lib.jfluid.heap.Instance;

/**
 * What VisualVM's heap library says that objects of a dump retain, the largest first, one "id class bytes" a line:
 * VisualVmRetained DUMP COUNT
 */
public class VisualVmRetained {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new File(args[0]));
        for (Object of : heap.getBiggestObjectsByRetainedSize(Integer.parseInt(args[1]))) {
            Instance i = (Instance) of;
            System.out.printf("%x %s %d%n", i.getInstanceId(), i.getJavaClass().getName(), i.getRetainedSize());
        }
    }
}
