import CVectorKernels

/// A dense array, last axis contiguous: `[height, width, channels]` for pictures, `[tokens, channels]` for sequences.
///
/// A value that nobody changes once the operation that made it has returned, so it may be shared freely.
public struct Tensor: Sendable {
    public let shape: [Int]
    public let elementType: ElementType
    let buffer: Buffer

    /// A tensor whose elements are still to be written by the operation that asks for it.
    init(uninitialized shape: [Int], _ elementType: ElementType, in context: ComputeContext) {
        precondition(shape.allSatisfy { $0 > 0 }, "a tensor's sides must be positive, not \(shape)")
        self.shape = shape
        self.elementType = elementType
        buffer = Buffer(byteCount: shape.reduce(1, *) * elementType.byteCount, pool: context.pool)
    }

    /// A tensor, of the context's element type or the one given, whose elements are still to be written by whoever asks
    /// for it.
    public init(uninitialized shape: [Int], as type: ElementType? = nil, in context: ComputeContext) {
        self.init(uninitialized: shape, type ?? context.elementType, in: context)
    }

    /// Memory that `owner` keeps alive, without a copy.
    init(sharing pointer: UnsafeRawPointer, shape: [Int], _ elementType: ElementType, owner: any AnyObject & Sendable) {
        self.shape = shape
        self.elementType = elementType
        buffer = Buffer(sharing: pointer, keeping: owner)
    }

    private init(shape: [Int], elementType: ElementType, buffer: Buffer) {
        self.shape = shape
        self.elementType = elementType
        self.buffer = buffer
    }

    /// A tensor of the context's element type (or the one given) holding `values`, row-major.
    ///
    /// - Precondition: `values` fill `shape`.
    public init(_ values: [Float], shape: [Int], as elementType: ElementType? = nil, in context: ComputeContext) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values can't fill \(shape)")
        self.init(uninitialized: shape, elementType ?? context.elementType, in: context)
        values.withUnsafeBufferPointer { store($0) }
    }

    private func store(_ values: UnsafeBufferPointer<Float>) {
        guard let source = values.baseAddress else { return }
        switch elementType {
        case .float32: buffer.pointer.copyMemory(from: source, byteCount: values.count * 4)
        case .bfloat16:
            pilot_bfloat16_from_float32(source, buffer.pointer.assumingMemoryBound(to: UInt16.self), values.count)
        }
    }

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
            case .float32: UnsafeMutableRawPointer(target).copyMemory(from: buffer.pointer, byteCount: count * 4)
            case .bfloat16:
                pilot_float32_from_bfloat16(buffer.pointer.assumingMemoryBound(to: UInt16.self), target, count)
            }
        }
    }

    /// The same elements under another shape.
    ///
    /// - Precondition: the counts agree.
    public func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count, "\(self.shape) can't become \(shape)")
        return Tensor(shape: shape, elementType: elementType, buffer: buffer)
    }

    var pointer: UnsafeMutableRawPointer { buffer.pointer }
    func pointer(at element: Int) -> UnsafeMutableRawPointer { buffer.pointer + element * elementType.byteCount }

    var kernelType: pilot_element { elementType == .float32 ? pilot_float32 : pilot_bfloat16 }

    /// Whether no element is NaN or infinite.
    public var isFinite: Bool {
        // The sum of x * 0 is 0 unless some x is not finite.
        floats.reduce(0) { $0 + $1 * 0 } == 0
    }
}
