import COneDNN

/// How the elements of an array lie in memory, in the library's own words.
final class OneDNNLayout: @unchecked Sendable {
    // Unchecked Sendable: an immutable handle.
    let handle: pilot_dnnl_layout_t
    let byteCount: Int
    /// What two layouts have in common if and only if they are the same, in any process; nil for a layout that the
    /// library keeps to itself.
    let text: String?

    private init(_ handle: pilot_dnnl_layout_t) {
        self.handle = handle
        byteCount = pilot_dnnl_layout_byte_count(handle)
        let description = [CChar](unsafeUninitializedCapacity: 1024) { text, count in
            count = pilot_dnnl_layout_text(handle, text.baseAddress, text.count)
        }
        text = description.isEmpty ? nil : String(decoding: description.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// - Parameter tag: the order of the axes in memory.
    convenience init(_ sides: [Int], _ type: dnnl_data_type_t, _ tag: dnnl_format_tag_t) throws {
        let dimensions = sides.map { Int64($0) }
        self.init(
            try made("memory of shape \(sides)") {
                pilot_dnnl_layout_create(&$0, Int32(sides.count), dimensions, type, tag)
            })
    }

    convenience init(_ sides: [Int], _ type: dnnl_data_type_t, strides: [Int]) throws {
        let dimensions = sides.map { Int64($0) }
        let steps = strides.map { Int64($0) }
        self.init(
            try made("memory of shape \(sides)") {
                pilot_dnnl_layout_create_strided(&$0, Int32(sides.count), dimensions, type, steps)
            })
    }

    /// The layout that an operation wants for one of its arguments.
    convenience init(of argument: OneDNNArgument, in operation: dnnl_primitive_desc_t, _ what: String) throws {
        self.init(
            try made("layout of argument \(argument.number) of \(what)") {
                pilot_dnnl_argument_layout(&$0, operation, dnnl_query_t(argument.query), argument.index)
            })
    }

    deinit { pilot_dnnl_layout_destroy(handle) }

    /// Memory in this layout, to be destroyed by the caller.
    func memory(at address: UnsafeMutableRawPointer, _ library: OneDNNLibrary) throws -> dnnl_memory_t {
        try made("memory") { pilot_dnnl_memory_create(&$0, handle, library.engine, address) }
    }

    /// Copies the elements at `source` to `target`, which has this layout; waits for it.
    func fill(
        _ target: UnsafeMutableRawPointer, from source: UnsafeRawPointer, in sourceLayout: OneDNNLayout,
        _ library: OneDNNLibrary
    ) throws {
        library.useTeam()
        let from = try sourceLayout.memory(at: UnsafeMutableRawPointer(mutating: source), library)
        defer { dnnl_memory_destroy(from) }
        let to = try memory(at: target, library)
        defer { dnnl_memory_destroy(to) }
        let reorder: dnnl_primitive_t = try made("reorder") {
            pilot_dnnl_reorder_create(&$0, sourceLayout.handle, handle, library.engine)
        }
        defer { dnnl_primitive_destroy(reorder) }
        let arguments = [
            dnnl_exec_arg_t(arg: OneDNNArgument.source.number, memory: from),
            dnnl_exec_arg_t(arg: OneDNNArgument.destination.number, memory: to),
        ]
        try check(dnnl_primitive_execute(reorder, library.stream, Int32(arguments.count), arguments), "reorder")
        try check(dnnl_stream_wait(library.stream), "reorder")
    }
}
