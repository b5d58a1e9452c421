import COneDNN
import Failures

/// One operation compiled for one problem size.
final class OneDNNPrimitive: @unchecked Sendable {
    // Unchecked Sendable: an immutable handle; it runs on the one thread that computes.
    private let library: OneDNNLibrary
    private let primitive: dnnl_primitive_t
    private let what: String
    /// The layouts the library wants for the arguments named at creation.
    let layouts: [OneDNNArgument: OneDNNLayout]

    /// - Parameters:
    ///   - arguments: those that `run` will be given.
    ///   - choose: asks the library for the operation.
    init(
        _ what: String, arguments: [OneDNNArgument], library: OneDNNLibrary,
        choose: (inout dnnl_primitive_desc_t?) -> dnnl_status_t
    ) throws {
        self.library = library
        self.what = what
        library.useTeam()
        let operation: dnnl_primitive_desc_t = try made(what, choose)
        defer { dnnl_primitive_desc_destroy(operation) }
        primitive = try made(what) { dnnl_primitive_create(&$0, operation) }
        var layouts: [OneDNNArgument: OneDNNLayout] = [:]
        for argument in arguments + [.scratchpad] {
            layouts[argument] = try OneDNNLayout(of: argument, in: operation, what)
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
            guard let layout = layouts[argument] else {
                throw Failure.internalFault("oneDNN: \(what): surplus argument \(argument.number)")
            }
            bound.append(
                dnnl_exec_arg_t(
                    arg: argument.number,
                    memory: try layout.memory(at: UnsafeMutableRawPointer(mutating: pointer), library)))
        }
        try check(dnnl_primitive_execute(primitive, library.stream, Int32(bound.count), bound), what)
        try check(dnnl_stream_wait(library.stream), what)
        // The scratchpad must outlive the execution.
        withExtendedLifetime(scratch) {}
    }
}
