import java.io.File;
import org.graalvm.visualvm.lib.jfluid.heap.GCRoot;
import org.graalvm.visualvm.lib.jfluid.heap.Heap;
import org.graalvm.visualvm.lib.jfluid.heap.HeapFactory;
import org.graalvm.visualvm.lib.jfluid.heap.JavaFrameGCRoot;
import org.graalvm.visualvm.lib.jfluid.heap.JniLocalGCRoot;
import org.graalvm.visualvm.lib.jfluid.heap.ThreadObjectGCRoot;

/**
 * Opens a dump with VisualVM's heap library and prints the threads' stacks as it has them, and what their frames
 * hold, one "thread ID kind ..." a line: VisualVmStacks DUMP
 */
public class VisualVmStacks {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new File(args[0]));
        StringBuilder out = new StringBuilder();
        for (GCRoot root : heap.getGCRoots()) {
            if (root instanceof ThreadObjectGCRoot) {
                ThreadObjectGCRoot thread = (ThreadObjectGCRoot) root;
                line(out, thread, "thread", "");
                StackTraceElement[] stack = thread.getStackTrace();
                if (stack == null) continue;
                for (StackTraceElement f : stack) {
                    String at = f.getClassName() + "." + f.getMethodName();
                    line(out, thread, "frame", at + " " + f.getFileName() + ":" + f.getLineNumber());
                }
            } else if (root instanceof JavaFrameGCRoot) {
                JavaFrameGCRoot r = (JavaFrameGCRoot) root;
                line(out, r.getThreadGCRoot(), "local", r.getFrameNumber() + " " + id(root));
            } else if (root instanceof JniLocalGCRoot) {
                JniLocalGCRoot r = (JniLocalGCRoot) root;
                line(out, r.getThreadGCRoot(), "jni", r.getFrameNumber() + " " + id(root));
            }
        }
        System.out.print(out);
    }

    static long id(GCRoot root) { return root.getInstance() == null ? 0 : root.getInstance().getInstanceId(); }

    static void line(StringBuilder out, ThreadObjectGCRoot thread, String kind, String what) {
        out.append("thread ").append(thread == null ? 0 : id(thread)).append(' ').append(kind).append(' ').append(what)
            .append('\n');
    }
}
