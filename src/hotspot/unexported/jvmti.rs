//! What JVMTI keeps for a thread.

/// `jvmtiThreadState.hpp`: `JvmtiThreadState {JavaThread* _thread; ...; oop _earlyret_oop; ...}` is no larger in any JDK.
pub(crate) const THREAD_STATE_SIZE: u64 = 512;
/// `thread.hpp` until 15: JavaThread points to the GrowableArray of jvmtiDeferredLocalVariableSets itself; then
/// (`jvmtiDeferredUpdates.hpp`) to a JvmtiDeferredUpdates, in which it stands behind one word.
pub(crate) const DEFERRED_UPDATES_ARRAY: [u64; 2] = [0, 8];
/// `vframe_hp.hpp`, `jvmtiDeferredUpdates.hpp`: `jvmtiDeferredLocalVariableSet {Method* _method; int _bci; intptr_t* _id;
/// int _vframe_id; GrowableArray<jvmtiDeferredLocalVariable*>* _locals; ...}`; in newer ones without `_id`.
pub(crate) const DEFERRED_VARIABLES: [u64; 3] = [16, 24, 32];
/// `jvmtiDeferredLocalVariable {BasicType _type; jvalue _value; int _index}`.
pub(crate) const DEFERRED_VARIABLE_SIZE: u64 = 24;
/// `globalDefinitions.hpp`: the last BasicType is smaller.
pub(crate) const MAX_BASIC_TYPE: u32 = 32;
