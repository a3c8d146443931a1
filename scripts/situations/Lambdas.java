import java.lang.invoke.*;
import java.util.function.Supplier;

/** Very many lambdas: a hidden class each, linked as javac's own are. */
class Lambdas {
    static Object one() { return null; }

    Object make(int n) {
        try {
            MethodHandles.Lookup here = MethodHandles.lookup();
            MethodHandle target = here.findStatic(Lambdas.class, "one", MethodType.methodType(Object.class));
            Object[] all = new Object[n];
            for (int i = 0; i < n; i++) {
                CallSite site = LambdaMetafactory.metafactory(here, "get", MethodType.methodType(Supplier.class),
                    MethodType.methodType(Object.class), target, MethodType.methodType(Object.class));
                all[i] = (Supplier<?>) site.getTarget().invoke();
            }
            return all;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
