import CVectorKernels

/// A dense array, last axis contiguous: `[height, width, channels]` for pictures, `[tokens, channels]` for sequences.
///
/// A value that nobody changes, so it may be shared freely. It is written as a `TensorDraft` first.
public struct Tensor: Sendable {
    public let shape: [Int]
    public let elementType: ElementType
    private var buffer: Buffer

    /// Memory that `owner` keeps alive, without a copy.
    init(sharing pointer: UnsafeRawPointer, shape: [Int], _ elementType: ElementType, owner: any AnyObject & Sendable) {
        self.init(shape: shape, elementType: elementType, buffer: Buffer(sharing: pointer, keeping: owner))
    }

    init(shape: [Int], elementType: ElementType, buffer: Buffer) {
        self.shape = shape
        self.elementType = elementType
        self.buffer = buffer
    }

    /// A tensor of the context's element type (or the one given) holding `values`, row-major.
    ///
    /// - Precondition: `values` fill `shape`.
    public init(_ values: [Float], shape: [Int], as elementType: ElementType? = nil, in context: ComputeContext) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values can't fill \(shape)")
        var draft = TensorDraft(uninitialized: shape, as: elementType, in: context)
        let elements = draft.elements
        values.withUnsafeBytes { values in
            guard let source = values.baseAddress else { return }
            elements.convert(source, of: .float32, count: values.count / 4)
        }
        self = draft.finished()
    }

    /// The same elements to be written further: in their own memory when nothing else holds it, else in a copy.
    ///
    /// Whether something does is seen when this runs, so a caller who has no more use for the tensor should say so
    /// (`consume`) where the compiler would keep a reference.
    public consuming func draft(in context: ComputeContext) -> TensorDraft {
        if isHeldAlone() { return TensorDraft(shape: shape, elementType: elementType, buffer: buffer) }
        var copy = TensorDraft(uninitialized: shape, as: elementType, in: context)
        copy.copy(self, in: context)
        return copy
    }

    /// Whether nothing else holds the elements' memory, so that they may be overwritten by whoever consumes this.
    mutating func isHeldAlone() -> Bool { buffer.isWritable && isKnownUniquelyReferenced(&buffer) }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Length of the last axis.
    public var columns: Int { shape[shape.count - 1] }
    /// Product of the other axes.
    public var rows: Int { count / columns }

    /// The elements as float32, row-major.
    public var floats: [Float] {
        [Float](unsafeUninitializedCapacity: count) { target, written in
            written = count
            guard let target = target.baseAddress else { return }
            switch elementType {
            case .float32: UnsafeMutableRawPointer(target).copyMemory(from: pointer, byteCount: count * 4)
            case .bfloat16: pilot_float32_from_bfloat16(pointer.assumingMemoryBound(to: UInt16.self), target, count)
            }
        }
    }

    /// Calls `body` with the memory of the elements, row-major, in the tensor's own format.
    public func withUnsafeBytes<Result, Problem: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        defer { withExtendedLifetime(buffer) {} }
        return try body(UnsafeRawBufferPointer(start: buffer.pointer, count: count * elementType.byteCount))
    }

    /// The same elements under another shape.
    ///
    /// - Precondition: the counts agree.
    public func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count, "\(self.shape) can't become \(shape)")
        return Tensor(shape: shape, elementType: elementType, buffer: buffer)
    }

    /// Some positions of a picture, or rows of a matrix, as a matrix in the same memory.
    func positions(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "positions \(range) of \(rows)")
        return Tensor(
            sharing: pointer(at: range.lowerBound * columns), shape: [range.count, columns], elementType, owner: buffer)
    }

    var pointer: UnsafeRawPointer { UnsafeRawPointer(buffer.pointer) }
    func pointer(at element: Int) -> UnsafeRawPointer { pointer + element * elementType.byteCount }

    var kernelType: pilot_element { elementType.kernelType }

    /// Whether no element is NaN or infinite.
    public var isFinite: Bool {
        // The sum of x * 0 is 0 unless some x is not finite.
        floats.reduce(0) { $0 + $1 * 0 } == 0
    }
}
