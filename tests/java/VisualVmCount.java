import java.io.File;
import java.util.List;
import org.graalvm.visualvm.lib.jfluid.heap.Heap;
import org.graalvm.visualvm.lib.jfluid.heap.HeapFactory;
import org.graalvm.visualvm.lib.jfluid.heap.HeapSummary;
import org.graalvm.visualvm.lib.jfluid.heap.JavaClass;

/**
 * Opens a dump with VisualVM's heap library and prints what it counts, one "name value" a line:
 * VisualVmCount DUMP [CLASS...]
 */
public class VisualVmCount {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new File(args[0]));
        HeapSummary s = heap.getSummary();
        List<JavaClass> classes = heap.getAllClasses();
        long instances = 0;
        for (JavaClass c : classes) instances += c.getInstancesCount();
        System.out.println("classes " + classes.size());
        System.out.println("instances " + instances);
        System.out.println("summary-instances " + s.getTotalLiveInstances());
        System.out.println("summary-bytes " + s.getTotalLiveBytes());
        System.out.println("roots " + heap.getGCRoots().size());
        for (int i = 1; i < args.length; i++) {
            JavaClass c = heap.getJavaClassByName(args[i]);
            System.out.println(args[i] + " " + (c == null ? -1 : c.getInstancesCount()));
        }
    }
}
