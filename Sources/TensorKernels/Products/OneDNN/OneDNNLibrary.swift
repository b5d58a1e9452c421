import COneDNN
import CVectorKernels
import Failures

/// oneDNN's engine and stream for one rank's processor.
final class OneDNNLibrary: @unchecked Sendable {
    // Unchecked Sendable: the engine may be shared between threads, and the stream is used by the thread that computes
    // with the context, one at a time.
    let engine: dnnl_engine_t
    let stream: dnnl_stream_t
    let threads: Int

    /// How many operations the library's own cache may keep: more than there ever are.
    ///
    /// When oneDNN 2.6's cache (1,024 at first) throws one out while another thread makes one, results can be wrong, for good
    /// and without an error: seen with strips on threads, and soon with a capacity of 8. Layers keep their operations anyway.
    private static let cacheCapacity: Int32 = 1 << 24

    init(threads: Int) throws {
        self.threads = threads
        try check(dnnl_set_primitive_cache_capacity(Self.cacheCapacity), "cache")
        engine = try made("engine") { dnnl_engine_create(&$0, dnnl_cpu, 0) }
        let engine = engine
        stream = try made("stream") {
            dnnl_stream_create(&$0, engine, UInt32(dnnl_stream_default_flags.rawValue))
        }
    }

    deinit {
        dnnl_stream_destroy(stream)
        dnnl_engine_destroy(engine)
    }

    /// Makes oneDNN use this rank's threads when called from the calling thread: OpenMP keeps the number per thread.
    func useTeam() { pilot_set_team_size(Int32(threads)) }
}

/// The object that `make` writes, or a failure with the status and what was being made.
func made<Object>(_ what: String, _ make: (inout Object?) -> dnnl_status_t) throws -> Object {
    var object: Object?
    try check(make(&object), what)
    guard let object else { throw Failure.internalFault("oneDNN made no \(what)") }
    return object
}

func check(_ status: dnnl_status_t, _ what: String) throws {
    guard status == dnnl_success else {
        let meaning = dnnl_status2str(status).map { String(cString: $0) } ?? "status \(status.rawValue)"
        let advice = status == dnnl_out_of_memory ? "; a smaller --size or more ranks take less" : ""
        throw Failure.internalFault("oneDNN: \(what): \(meaning)\(advice)")
    }
}

/// One of the library's arguments: its number, a macro of the C header, and how to ask for its layout.
struct OneDNNArgument: Hashable {
    let number: Int32
    let query: UInt32
    let index: Int32

    private init(_ number: Int32, _ query: dnnl_query_t, index: Int32 = 0) {
        self.number = number
        self.query = query.rawValue
        self.index = index
    }

    static let source = OneDNNArgument(1, dnnl_query_src_md)
    static let destination = OneDNNArgument(17, dnnl_query_dst_md)
    static let weights = OneDNNArgument(33, dnnl_query_weights_md)
    static let bias = OneDNNArgument(41, dnnl_query_weights_md, index: 1)
    static let scratchpad = OneDNNArgument(80, dnnl_query_scratchpad_md)
    static let sourceGradient = OneDNNArgument(129, dnnl_query_diff_src_md)
    static let destinationGradient = OneDNNArgument(145, dnnl_query_diff_dst_md)
}

extension ElementType {
    var oneDNN: dnnl_data_type_t { self == .float32 ? dnnl_f32 : dnnl_bf16 }
}
