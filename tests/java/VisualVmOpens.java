import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import org.graalvm.visualvm.lib.jfluid.heap.HeapFactory;
import org.graalvm.visualvm.lib.jfluid.heap.JavaClass;

/** Opens with VisualVM's heap library each dump that a line of standard input names, and prints its instances. */
public class VisualVmOpens {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String file; (file = in.readLine()) != null; ) {
            long instances = 0;
            for (JavaClass c : HeapFactory.createHeap(new File(file)).getAllClasses()) {
                instances += c.getInstancesCount();
            }
            System.out.println(instances);
        }
    }
}
