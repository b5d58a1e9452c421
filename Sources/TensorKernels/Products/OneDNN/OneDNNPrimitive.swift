import COneDNN
import Failures

/// One operation compiled for one problem size.
final class OneDNNPrimitive: @unchecked Sendable {
    // Unchecked Sendable: an immutable handle; it runs on the one thread that computes.
    private let library: OneDNNLibrary
    private let primitive: dnnl_primitive_t
    private let what: String
    /// The layouts the library wants for the arguments named at creation.
    let layouts: [OneDNNArgument: dnnl_memory_desc_t]

    /// - Parameters:
    ///   - description: the operation's descriptor, as the library's `*_desc_init` functions fill it.
    ///   - accumulating: add to the destination instead of overwriting it.
    ///   - hint: for a backward primitive, the forward operation's descriptor.
    ///   - arguments: those that `run` will be given.
    init(
        _ what: String, description: UnsafeRawPointer, accumulating: Bool = false, hint: UnsafeRawPointer? = nil,
        arguments: [OneDNNArgument], library: OneDNNLibrary
    ) throws {
        self.library = library
        self.what = what
        library.useTeam()
        let attributes: dnnl_primitive_attr_t = try made("attributes") { dnnl_primitive_attr_create(&$0) }
        defer { dnnl_primitive_attr_destroy(attributes) }
        try check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "scratchpad mode")
        if accumulating {
            let postOperations: dnnl_post_ops_t = try made("post-operations") { dnnl_post_ops_create(&$0) }
            defer { dnnl_post_ops_destroy(postOperations) }
            try check(dnnl_post_ops_append_sum(postOperations, 1), "sum")
            try check(dnnl_primitive_attr_set_post_ops(attributes, postOperations), "post-operations")
        }
        var hintDescription: dnnl_primitive_desc_t?
        if let hint {
            hintDescription = try made(what) {
                dnnl_primitive_desc_create(&$0, hint, nil, library.engine, nil)
            }
        }
        defer { if let hintDescription { dnnl_primitive_desc_destroy(hintDescription) } }
        let compiled: dnnl_primitive_desc_t = try made(what) {
            dnnl_primitive_desc_create(&$0, description, attributes, library.engine, hintDescription)
        }
        defer { dnnl_primitive_desc_destroy(compiled) }
        primitive = try made(what) { dnnl_primitive_create(&$0, compiled) }
        var layouts: [OneDNNArgument: dnnl_memory_desc_t] = [:]
        for argument in arguments + [.scratchpad] {
            guard
                let layout = dnnl_primitive_desc_query_md(compiled, dnnl_query_t(argument.query), argument.index)
            else { throw Failure.internalFault("oneDNN: \(what): no layout for argument \(argument.number)") }
            layouts[argument] = layout.pointee
        }
        self.layouts = layouts
    }

    deinit { dnnl_primitive_destroy(primitive) }

    /// Runs the operation on these memories, of which it writes the destination, and waits for it.
    func run(_ arguments: [(OneDNNArgument, UnsafeRawPointer)], in context: ComputeContext) throws {
        library.useTeam()
        let scratchBytes = layouts[.scratchpad]?.byteCount ?? 0
        let scratch = Buffer(byteCount: scratchBytes, pool: context.pool)
        let arguments = scratchBytes > 0 ? arguments + [(.scratchpad, UnsafeRawPointer(scratch.pointer))] : arguments
        var bound: [dnnl_exec_arg_t] = []
        defer { for argument in bound { dnnl_memory_destroy(argument.memory) } }
        for (argument, pointer) in arguments {
            guard var layout = layouts[argument] else {
                throw Failure.internalFault("oneDNN: \(what): surplus argument \(argument.number)")
            }
            let memory: dnnl_memory_t = try made(what) {
                dnnl_memory_create(&$0, &layout, library.engine, UnsafeMutableRawPointer(mutating: pointer))
            }
            bound.append(dnnl_exec_arg_t(arg: argument.number, memory: memory))
        }
        try check(dnnl_primitive_execute(primitive, library.stream, Int32(bound.count), bound), what)
        try check(dnnl_stream_wait(library.stream), what)
        // The scratchpad must outlive the execution.
        withExtendedLifetime(scratch) {}
    }
}
