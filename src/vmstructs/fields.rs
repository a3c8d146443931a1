//! THE list of fields that rjcore reads, each with its older or newer names.
//!
//! Adding a JDK that renamed a field is one more alternative here. Names are looked up in
//! order; the first that the tables carry wins. Whether a missing one matters is decided
//! where it is asked for.

use super::Tables;
use crate::error::{Error, Result};

/// Offsets above this are damage: HotSpot's largest struct is a few KB.
const MAX_OFFSET: u64 = 1 << 16;

/// One field: an offset, or the address of a static.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    name: &'static str,
    value: Option<u64>,
    /// The tables give its type as `oop`: an object itself, where newer JDKs have a handle.
    is_oop: bool,
}

impl Field {
    fn find(tables: &Tables, names: &[&'static str]) -> Field {
        let entry = names.iter().find_map(|n| tables.entry(n));
        let entry = entry.filter(|e| e.is_static || e.value < MAX_OFFSET);
        let is_oop = entry.is_some_and(|e| e.type_string == "oop");
        Field { name: names.first().unwrap_or(&""), value: entry.map(|e| e.value), is_oop }
    }

    /// The offset or address, or an error that names the field.
    pub fn get(self) -> Result<u64> {
        self.value.ok_or_else(|| Error::MissingField { what: self.name.into() })
    }

    /// The offset or address, if these tables have it.
    pub fn opt(self) -> Option<u64> {
        self.value
    }

    /// `Type::_field` as the newest JDK calls it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether the field holds an oop, and not a handle to one.
    pub fn is_oop(self) -> bool {
        self.is_oop
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $($name:literal)|+;)*) => {
        /// Every field that rjcore asks the tables for. `S` in a comment: a static.
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "the names are HotSpot's")]
        pub struct Fields { $($(#[$doc])* pub $field: Field,)* }

        impl Fields {
            /// Looks all of them up.
            pub fn load(tables: &Tables) -> Fields {
                Fields { $($field: Field::find(tables, &[$($name),+]),)* }
            }

            /// The names of those that these tables lack; most are other JDKs' or collectors'.
            pub fn lacking(&self) -> Vec<&'static str> {
                [$(self.$field),*].iter().filter(|f| f.value.is_none()).map(|f| f.name).collect()
            }
        }
    };
}

fields! {
    // Pointers.
    oop_base = "CompressedOops::_narrow_oop._base" | "CompressedOops::_base" | "Universe::_narrow_oop._base"; // 22: renamed
    oop_shift = "CompressedOops::_narrow_oop._shift" | "CompressedOops::_shift" | "Universe::_narrow_oop._shift";
    klass_base = "CompressedKlassPointers::_narrow_klass._base" | "CompressedKlassPointers::_base" | "Universe::_narrow_klass._base";
    klass_shift = "CompressedKlassPointers::_narrow_klass._shift" | "CompressedKlassPointers::_shift" | "Universe::_narrow_klass._shift";
    oop_handle = "OopHandle::_obj";
    // Flags and version.
    flags = "JVMFlag::flags" | "Flag::flags"; // 8: Flag
    num_flags = "JVMFlag::numFlags" | "Flag::numFlags";
    flag_name = "JVMFlag::_name" | "Flag::_name";
    flag_addr = "JVMFlag::_addr" | "Flag::_addr";
    flag_flags = "JVMFlag::_flags" | "Flag::_flags";
    flag_type = "JVMFlag::_type" | "Flag::_type";
    vm_release = "Abstract_VM_Version::_s_vm_release";
    vm_info = "Abstract_VM_Version::_s_internal_vm_info_string";
    jvm_args = "Arguments::_jvm_args_array";
    num_jvm_args = "Arguments::_num_jvm_args";
    jvm_flags = "Arguments::_jvm_flags_array";
    num_jvm_flags = "Arguments::_num_jvm_flags";
    java_command = "Arguments::_java_command";
    error_thread = "VMError::_thread";
    perf_start = "PerfMemory::_start";
    perf_top = "PerfMemory::_top";
    // Class loaders and klasses.
    cld_head = "ClassLoaderDataGraph::_head";
    cld_next = "ClassLoaderData::_next";
    cld_klasses = "ClassLoaderData::_klasses";
    cld_class_loader = "ClassLoaderData::_class_loader";
    cld_has_mirror_holder = "ClassLoaderData::_has_class_mirror_holder" | "ClassLoaderData::_is_anonymous";
    klass_layout_helper = "Klass::_layout_helper";
    klass_name = "Klass::_name";
    klass_super = "Klass::_super";
    klass_mirror = "Klass::_java_mirror";
    klass_next_link = "Klass::_next_link"; // from 11
    klass_next_sibling = "Klass::_next_sibling";
    klass_loader_data = "Klass::_class_loader_data" | "InstanceKlass::_class_loader_data";
    ik_constants = "InstanceKlass::_constants";
    ik_breakpoints = "InstanceKlass::_breakpoints";
    ik_init_state = "InstanceKlass::_init_state";
    ik_interfaces = "InstanceKlass::_transitive_interfaces";
    ik_fields = "InstanceKlass::_fields"; // until 20
    ik_java_fields_count = "InstanceKlass::_java_fields_count"; // until 20
    ik_fieldinfo_stream = "InstanceKlass::_fieldinfo_stream"; // from 21, JDK-8292818
    klass_vtable_length = "Klass::_vtable_len" | "InstanceKlass::_vtable_len";
    ik_itable_length = "InstanceKlass::_itable_len";
    ik_oop_map_size = "InstanceKlass::_nonstatic_oop_map_size";
    method_array_data = "Array<Method*>::_data";
    array_dimension = "ArrayKlass::_dimension";
    array_lower = "ArrayKlass::_lower_dimension";
    obj_array_bottom = "ObjArrayKlass::_bottom_klass";
    obj_array_element = "ObjArrayKlass::_element_klass";
    ik_flat_fields = "InstanceKlass::_value_field_layout_info_array"; // from 28, JEP 401
    ik_value_members = "InstanceKlass::_adr_value_klass_members";
    flat_field_klass = "ValueFieldLayoutInfo::_klass";
    flat_fields_data = "Array<ValueFieldLayoutInfo>::_data";
    value_payload = "ValueKlass::Members::_payload_offset";
    value_null_marker = "ValueKlass::Members::_null_marker_offset";
    symbol_length = "Symbol::_length";
    symbol_body = "Symbol::_body" | "Symbol::_body[0]";
    vm_symbols = "Symbol::_vm_symbols[0]" | "vmSymbols::_symbols[0]";
    pool_resolved_references = "ConstantPool::_resolved_references"; // 8: a jobject
    pool_cache = "ConstantPool::_cache";
    pool_length = "ConstantPool::_length";
    cache_resolved_references = "ConstantPoolCache::_resolved_references";
    u1_array_data = "Array<u1>::_data";
    u2_array_data = "Array<u2>::_data";
    klass_array_data = "Array<Klass*>::_data";
    class_klass = "java_lang_Class::_klass_offset";
    class_array_klass = "java_lang_Class::_array_klass_offset";
    class_oop_size = "java_lang_Class::_oop_size_offset";
    archive_base = "MetaspaceObj::_shared_metaspace_base" | "MetaspaceObj::_aot_metaspace_base"; // 26: renamed
    archive_top = "MetaspaceObj::_shared_metaspace_top" | "MetaspaceObj::_aot_metaspace_top";
    // Threads.
    thread_first = "Threads::_thread_list"; // until 11
    thread_next = "JavaThread::_next";
    thread_list = "ThreadsSMRSupport::_java_thread_list";
    threads_length = "ThreadsList::_length";
    threads_array = "ThreadsList::_threads";
    thread_obj = "JavaThread::_threadObj";
    thread_vthread = "JavaThread::_vthread"; // from 21
    thread_terminated = "JavaThread::_terminated";
    thread_osthread = "JavaThread::_osthread" | "Thread::_osthread";
    osthread_id = "OSThread::_thread_id";
    thread_tlab = "Thread::_tlab";
    tlab_start = "ThreadLocalAllocBuffer::_start";
    tlab_top = "ThreadLocalAllocBuffer::_top";
    tlab_end = "ThreadLocalAllocBuffer::_end";
    tlab_prefetch_reserve = "ThreadLocalAllocBuffer::_reserve_for_allocation_prefetch" | "Abstract_VM_Version::_reserve_for_allocation_prefetch";
    lab_alignment_reserve = "CollectedHeap::_lab_alignment_reserve";
    universe_oops = "Universe::_vm_exception"; // S until 11
    universe_klasses = "Universe::_doubleArrayKlassObj"; // S until 11
    jni_globals = "JNIHandles::_global_handles";
    jni_deleted = "JNIHandles::_deleted_handle"; // 8
    monitor_blocks = "ObjectSynchronizer::gBlockList"; // until 11
    monitor_next = "ObjectMonitor::FreeNext";
    monitor_object = "ObjectMonitor::_object";
    // Beside the heap.
    barrier_set = "BarrierSet::_barrier_set"; // S, from 11
    heap_barrier_set = "CollectedHeap::_barrier_set"; // 8
    barrier_card_table = "CardTableBarrierSet::_card_table";
    card_map = "CardTable::_byte_map" | "CardTableModRefBS::_byte_map";
    card_map_size = "CardTable::_byte_map_size" | "CardTableModRefBS::_byte_map_size";
    // Heaps.
    collected_heap = "Universe::_collectedHeap";
    heap_reserved = "CollectedHeap::_reserved";
    total_collections = "CollectedHeap::_total_collections";
    gc_active = "CollectedHeap::_is_stw_gc_active" | "CollectedHeap::_is_gc_active";
    gen_heap_gens = "GenCollectedHeap::_gens"; // 8
    gen_heap_count = "GenCollectedHeap::_n_gens";
    serial_young = "SerialHeap::_young_gen" | "GenCollectedHeap::_young_gen";
    serial_old = "SerialHeap::_old_gen" | "GenCollectedHeap::_old_gen";
    def_new_eden = "DefNewGeneration::_eden_space";
    def_new_from = "DefNewGeneration::_from_space";
    def_new_to = "DefNewGeneration::_to_space";
    tenured_space = "TenuredGeneration::_the_space" | "OneContigSpaceCardGeneration::_the_space";
    cms_space = "ConcurrentMarkSweepGeneration::_cmsSpace"; // until 13
    compactible_bottom = "Space::_bottom";
    compactible_end = "Space::_end";
    epsilon_space = "EpsilonHeap::_space";
    space_bottom = "ContiguousSpace::_bottom" | "Space::_bottom";
    space_top = "ContiguousSpace::_top";
    space_end = "ContiguousSpace::_end" | "Space::_end";
    parallel_young = "ParallelScavengeHeap::_young_gen"; // S until 27
    parallel_old = "ParallelScavengeHeap::_old_gen";
    ps_young_eden = "PSYoungGen::_eden_space";
    ps_young_from = "PSYoungGen::_from_space";
    ps_young_to = "PSYoungGen::_to_space";
    ps_old_space = "PSOldGen::_object_space";
    mutable_bottom = "MutableSpace::_bottom" | "ImmutableSpace::_bottom";
    mutable_top = "MutableSpace::_top";
    mutable_end = "MutableSpace::_end" | "ImmutableSpace::_end";
    g1_hrm = "G1CollectedHeap::_hrm";
    hrm_regions = "G1HeapRegionManager::_regions" | "HeapRegionManager::_regions"; // 22: renamed
    region_table_base = "G1HeapRegionTable::_base";
    region_table_length = "G1HeapRegionTable::_length";
    region_bottom = "G1HeapRegion::_bottom" | "HeapRegion::_bottom" | "Space::_bottom";
    region_top = "G1HeapRegion::_top" | "HeapRegion::_top" | "G1ContiguousSpace::_top" | "G1OffsetTableContigSpace::_top";
    region_end = "G1HeapRegion::_end" | "HeapRegion::_end" | "Space::_end";
    region_grain = "HeapRegion::GrainBytes" | "G1HeapRegion::GrainBytes";
    region_type = "G1HeapRegion::_type" | "HeapRegion::_type";
    region_tag = "G1HeapRegionType::_tag" | "HeapRegionType::_tag";
    // ZGC; X*: the one without generations in 21, which has both.
    z_heap = "ZCollectedHeap::_heap";
    x_heap = "XCollectedHeap::_heap";
    z_globals = "ZGlobalsForVMStructs::_instance_p"; // S
    x_globals = "XGlobalsForVMStructs::_instance_p"; // S
    z_offset_mask = "ZGlobalsForVMStructs::_ZAddressOffsetMask"; // from 13
    x_offset_mask = "XGlobalsForVMStructs::_XAddressOffsetMask";
    z_good_mask = "ZGlobalsForVMStructs::_ZAddressGoodMask"; // until 20
    x_good_mask = "XGlobalsForVMStructs::_XAddressGoodMask";
    z_load_good = "ZGlobalsForVMStructs::_ZPointerLoadGoodMask"; // generational
    z_page_allocator = "ZHeap::_page_allocator";
    z_page_table = "ZHeap::_page_table";
    x_page_table = "XHeap::_page_table";
    z_old_page_table = "ZHeap::_pagetable"; // until 12
    z_range_map = "ZAddressRangeMapForPageTable::_map"; // until 12
    z_page_forwarding = "ZPage::_forwarding"; // until 12
    z_old_forwarding_table = "ZForwardingTable::_table"; // until 12
    z_old_forwarding_size = "ZForwardingTable::_size"; // until 12
    z_page_table_map = "ZPageTable::_map";
    x_page_table_map = "XPageTable::_map";
    z_granules_page = "ZGranuleMapForPageTable::_map";
    x_granules_page = "XGranuleMapForPageTable::_map";
    z_page_type = "ZPage::_type";
    x_page_type = "XPage::_type";
    z_page_virtual = "ZPage::_virtual";
    x_page_virtual = "XPage::_virtual";
    z_page_top = "ZPage::_top";
    x_page_top = "XPage::_top";
    z_virtual_start = "ZVirtualMemory::_start";
    x_virtual_start = "XVirtualMemory::_start";
    z_virtual_end = "ZVirtualMemory::_end"; // until 24
    x_virtual_end = "XVirtualMemory::_end";
    z_virtual_size = "ZVirtualMemory::_size"; // from 25
    z_forwarding_table = "ZHeap::_forwarding_table"; // until 20
    x_forwarding_table = "XHeap::_forwarding_table";
    z_granules_forwarding = "ZGranuleMapForForwarding::_map";
    x_granules_forwarding = "XGranuleMapForForwarding::_map";
    z_forwarding_virtual = "ZForwarding::_virtual";
    x_forwarding_virtual = "XForwarding::_virtual";
    z_forwarding_alignment = "ZForwarding::_object_alignment_shift";
    x_forwarding_alignment = "XForwarding::_object_alignment_shift";
    z_forwarding_entries = "ZForwarding::_entries";
    x_forwarding_entries = "XForwarding::_entries";
    z_forwarding_ref_count = "ZForwarding::_ref_count"; // until 26
    x_forwarding_ref_count = "XForwarding::_ref_count";
    // Shenandoah.
    shenandoah_num_regions = "ShenandoahHeap::_num_regions";
    shenandoah_regions = "ShenandoahHeap::_regions";
    shenandoah_region_bottom = "ShenandoahHeapRegion::_bottom";
    shenandoah_region_top = "ShenandoahHeapRegion::_top";
    shenandoah_region_end = "ShenandoahHeapRegion::_end";
    shenandoah_region_state = "ShenandoahHeapRegion::_state";
    // What only threads hold.
    thread_stack_base = "JavaThread::_stack_base" | "Thread::_stack_base";
    thread_stack_size = "JavaThread::_stack_size" | "Thread::_stack_size";
    thread_state = "JavaThread::_thread_state";
    thread_anchor = "JavaThread::_anchor";
    anchor_sp = "JavaFrameAnchor::_last_Java_sp";
    thread_active_handles = "JavaThread::_active_handles" | "Thread::_active_handles";
    jni_block_handles = "JNIHandleBlock::_handles";
    jni_block_top = "JNIHandleBlock::_top";
    jni_block_next = "JNIHandleBlock::_next";
    // Code.
    code_heaps = "CodeCache::_heaps"; // S, from 9
    code_heap = "CodeCache::_heap"; // S, 8
    growable_len = "GrowableArrayBase::_len" | "GenericGrowableArray::_len";
    growable_data = "GrowableArray<int>::_data";
    code_heap_memory = "CodeHeap::_memory";
    code_heap_segmap = "CodeHeap::_segmap";
    code_heap_log2 = "CodeHeap::_log2_segment_size";
    virtual_space_high_boundary = "VirtualSpace::_high_boundary";
    virtual_space_low = "VirtualSpace::_low";
    virtual_space_high = "VirtualSpace::_high";
    heap_block_length = "HeapBlock::Header::_length";
    heap_block_used = "HeapBlock::Header::_used";
    blob_name = "CodeBlob::_name";
    blob_size = "CodeBlob::_size";
    blob_kind = "CodeBlob::_kind"; // from 25
    blob_frame_size = "CodeBlob::_frame_size";
    blob_frame_complete = "CodeBlob::_frame_complete_offset";
    blob_code_begin = "CodeBlob::_code_begin"; // 9 to 23: an address
    blob_code_offset = "CodeBlob::_code_offset";
    blob_header_size = "CodeBlob::_header_size";
    blob_content_begin = "CodeBlob::_content_begin"; // 9 to 23: an address
    blob_content_offset = "CodeBlob::_content_offset";
    blob_data_offset = "CodeBlob::_data_offset";
    blob_oop_maps = "CodeBlob::_oop_maps";
    blob_mutable_data = "CodeBlob::_mutable_data"; // from 25
    blob_relocation_size = "CodeBlob::_relocation_size";
    nmethod_method = "nmethod::_method" | "CompiledMethod::_method";
    nmethod_scopes_data = "CompiledMethod::_scopes_data_begin"; // 9 to 23: an address
    nmethod_scopes_data_offset = "nmethod::_scopes_data_offset";
    nmethod_scopes_pcs_offset = "nmethod::_scopes_pcs_offset";
    nmethod_dependencies_offset = "nmethod::_dependencies_offset";
    nmethod_immutable_data = "nmethod::_immutable_data"; // from 23
    nmethod_immutable_size = "nmethod::_immutable_data_size";
    nmethod_oops_offset = "nmethod::_oops_offset";
    nmethod_metadata_offset = "nmethod::_metadata_offset";
    nmethod_orig_pc_offset = "nmethod::_orig_pc_offset";
    nmethod_comp_level = "nmethod::_comp_level";
    nmethod_deopt_begin = "CompiledMethod::_deopt_handler_begin"; // 9 to 23: an address
    nmethod_deopt_mh_begin = "CompiledMethod::_deopt_mh_handler_begin";
    nmethod_deopt_offset = "nmethod::_deopt_handler_entry_offset" | "nmethod::_deopt_handler_offset" | "nmethod::_deoptimize_offset";
    nmethod_deopt_mh_offset = "nmethod::_deopt_mh_handler_offset" | "nmethod::_deoptimize_mh_offset";
    pc_desc_pc_offset = "PcDesc::_pc_offset";
    pc_desc_scope = "PcDesc::_scope_decode_offset";
    interpreter_code = "AbstractInterpreter::_code"; // S
    stub_queue_buffer = "StubQueue::_stub_buffer";
    stub_queue_limit = "StubQueue::_buffer_limit";
    call_stub_return = "StubRoutines::_call_stub_return_address"; // S
    continuation_return = "ContinuationEntry::_return_pc"; // S, from 25
    vmreg_names = "VMRegImpl::regName[0]"; // S
    vmreg_stack0 = "VMRegImpl::stack0"; // S
    oop_maps_count = "ImmutableOopMapSet::_count";
    oop_maps_pair_pc = "ImmutableOopMapPair::_pc_offset";
    oop_maps_pair_map = "ImmutableOopMapPair::_oopmap_offset";
    // Methods.
    method_const = "Method::_constMethod";
    method_access = "Method::_access_flags";
    method_compiled = "Method::_code";
    const_constants = "ConstMethod::_constants";
    const_size = "ConstMethod::_constMethod_size";
    const_flags = "ConstMethod::_flags" | "ConstMethod::_flags._flags";
    const_stackmap = "ConstMethod::_stackmap_data";
    const_code_size = "ConstMethod::_code_size";
    const_name = "ConstMethod::_name_index";
    const_signature = "ConstMethod::_signature_index";
    const_max_locals = "ConstMethod::_max_locals";
    const_max_stack = "ConstMethod::_max_stack";
    const_parameters = "ConstMethod::_size_of_parameters";
    pool_holder = "ConstantPool::_pool_holder";
    pool_source_file = "ConstantPool::_source_file_name_index"; // from 13
    ik_methods = "InstanceKlass::_methods";
    ik_source_file = "InstanceKlass::_source_file_name_index";
    // Frames and locks.
    anchor_pc = "JavaFrameAnchor::_last_Java_pc";
    anchor_fp = "JavaFrameAnchor::_last_Java_fp";
    call_wrapper_anchor = "JavaCallWrapper::_anchor";
    upcall_frame_data = "UpcallStub::_frame_data_offset"; // from 25
    upcall_anchor = "UpcallStub::FrameData::jfa";
    thread_cont_entry = "JavaThread::_cont_entry"; // from 25
    cont_entry_parent = "ContinuationEntry::_parent"; // from 28
    thread_lock_stack = "JavaThread::_lock_stack"; // from 21
    thread_owner_id = "JavaThread::_monitor_owner_id"; // from 24
    thread_pending_monitor = "JavaThread::_current_pending_monitor" | "Thread::_current_pending_monitor";
    thread_waiting_monitor = "JavaThread::_current_waiting_monitor" | "Thread::_current_waiting_monitor";
    thread_allocated = "Thread::_allocated_bytes";
    lock_stack_top = "LockStack::_top";
    lock_stack_base = "LockStack::_base[0]";
    osthread_state = "OSThread::_state"; // from 9
    osthread_interrupted = "OSThread::_interrupted"; // until 13
    named_thread_name = "NamedThread::_name";
    monitor_owner = "ObjectMonitor::_owner";
    monitors_in_use = "ObjectSynchronizer::_in_use_list"; // S, from 16
    monitor_list_head = "MonitorList::_head";
    monitor_next_om = "ObjectMonitor::_next_om";
    jni_weak_globals = "JNIHandles::_weak_global_handles";
    basic_lock_obj = "BasicObjectLock::_obj";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_name_wins() {
        let old = ("Universe::_narrow_oop._shift", true, 0x10, "int");
        let new = ("CompressedOops::_narrow_oop._shift", true, 0x20, "int");
        let shift = |rows: &[_]| Fields::load(&Tables::of(rows)).oop_shift.get().unwrap();
        assert_eq!(shift(&[old]), 0x10);
        assert_eq!(shift(&[old, new]), 0x20);
    }

    #[test]
    fn a_field_that_is_missing_is_named_as_the_newest_jdk_has_it() {
        let fields = Fields::load(&Tables::of(&[("Klass::_name", false, 24, "Symbol*")]));
        assert_eq!((fields.klass_name.opt(), fields.klass_name.get().unwrap()), (Some(24), 24));
        assert_eq!(fields.flags.opt(), None);
        let said = fields.flags.get().unwrap_err().to_string();
        assert!(said.contains("JVMFlag::flags"), "{said}");
        let lacking = fields.lacking();
        assert!(lacking.contains(&"JVMFlag::flags") && !lacking.contains(&"Klass::_name"));
    }

    #[test]
    fn an_offset_beyond_any_struct_is_damage_and_an_address_is_not() {
        let rows = [
            ("Klass::_name", false, MAX_OFFSET, "Symbol*"),
            ("Klass::_super", false, MAX_OFFSET - 1, "Klass*"),
            ("ClassLoaderDataGraph::_head", true, 0x7f00_1234_5678, "ClassLoaderData*"),
        ];
        let fields = Fields::load(&Tables::of(&rows));
        assert_eq!(fields.klass_name.opt(), None);
        assert_eq!(fields.klass_super.opt(), Some(MAX_OFFSET - 1));
        assert_eq!(fields.cld_head.opt(), Some(0x7f00_1234_5678));
    }

    /// Until 9 a mirror is an oop in the class, later a handle to one.
    #[test]
    fn an_oop_is_told_from_a_handle() {
        let mirror =
            |ty| Fields::load(&Tables::of(&[("Klass::_java_mirror", false, 112, ty)])).klass_mirror;
        assert!(mirror("oop").is_oop());
        assert!(!mirror("OopHandle").is_oop());
    }
}
