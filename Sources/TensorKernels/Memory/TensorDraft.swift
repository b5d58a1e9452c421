import CVectorKernels

/// A tensor that is still being written.
///
/// It alone holds its memory and can't be copied, so what writes it changes no value that anyone shares. `finished()`
/// turns it into a `Tensor`, which nobody changes any more, and `Tensor.draft(in:)` turns that back.
public struct TensorDraft: ~Copyable {
    public let shape: [Int]
    public let elementType: ElementType
    private let buffer: Buffer

    /// A tensor, of the context's element type or the one given, whose elements are still to be written by whoever asks
    /// for it.
    ///
    /// - Precondition: all sides are positive.
    public init(uninitialized shape: [Int], as type: ElementType? = nil, in context: ComputeContext) {
        precondition(shape.allSatisfy { $0 > 0 }, "a tensor's sides must be positive, not \(shape)")
        self.shape = shape
        elementType = type ?? context.elementType
        buffer = Buffer(byteCount: shape.reduce(1, *) * elementType.byteCount, pool: context.pool)
    }

    /// - Precondition: nothing else holds `buffer`.
    init(shape: [Int], elementType: ElementType, buffer: Buffer) {
        self.shape = shape
        self.elementType = elementType
        self.buffer = buffer
    }

    /// The value, which nobody changes from here on.
    public consuming func finished() -> Tensor { Tensor(shape: shape, elementType: elementType, buffer: buffer) }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Length of the last axis.
    public var columns: Int { shape[shape.count - 1] }
    /// Product of the other axes.
    public var rows: Int { count / columns }

    /// Calls `body` with the memory of the elements, row-major.
    public mutating func withUnsafeMutableBytes<Result, Problem: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        try body(UnsafeMutableRawBufferPointer(start: buffer.pointer, count: count * elementType.byteCount))
    }

    /// Where the elements are: for the threads of a kernel, each of which writes a part of its own, until the draft is
    /// finished.
    var elements: DraftElements {
        mutating get { DraftElements(pointer: buffer.pointer, elementType: elementType) }
    }

    /// A copy of what is written so far, in another format.
    func converted(to type: ElementType, in context: ComputeContext) -> TensorDraft {
        var copy = TensorDraft(uninitialized: shape, as: type, in: context)
        copy.elements.fill(from: buffer.pointer, of: elementType, count: count, in: context)
        return copy
    }

    /// Overwrites the elements with those of `x`, rounded to this format.
    ///
    /// - Precondition: `x` has as many.
    mutating func copy(_ x: Tensor, in context: ComputeContext) {
        precondition(x.count == count, "\(x.shape) can't fill \(shape)")
        elements.fill(from: x.pointer, of: x.elementType, count: count, in: context)
    }
}

/// The memory of a draft.
struct DraftElements {
    let pointer: UnsafeMutableRawPointer
    let elementType: ElementType

    var kernelType: pilot_element { elementType.kernelType }

    func pointer(at element: Int) -> UnsafeMutableRawPointer { pointer + element * elementType.byteCount }

    /// - Precondition: their format is float32.
    var floats: UnsafeMutablePointer<Float> {
        precondition(elementType == .float32, "\(elementType.rawValue) is no float32")
        return pointer.assumingMemoryBound(to: Float.self)
    }

    /// Writes `count` elements that have this format already.
    func copy(_ source: UnsafeRawPointer, count: Int, at element: Int) {
        pointer(at: element).copyMemory(from: source, byteCount: count * elementType.byteCount)
    }

    /// Writes `count` elements of any format.
    func convert(_ source: UnsafeRawPointer, of type: ElementType, count: Int, at element: Int = 0) {
        let target = pointer(at: element)
        switch (type, elementType) {
        case (.float32, .bfloat16):
            pilot_bfloat16_from_float32(
                source.assumingMemoryBound(to: Float.self), target.assumingMemoryBound(to: UInt16.self), count)
        case (.bfloat16, .float32):
            pilot_float32_from_bfloat16(
                source.assumingMemoryBound(to: UInt16.self), target.assumingMemoryBound(to: Float.self), count)
        case (.float32, .float32), (.bfloat16, .bfloat16): copy(source, count: count, at: element)
        }
    }

    /// Writes all `count` elements, from as many of any format, on the context's threads.
    func fill(from source: UnsafeRawPointer, of type: ElementType, count: Int, in context: ComputeContext) {
        context.parallel(count, of: 1) { part in
            convert(source + part.lowerBound * type.byteCount, of: type, count: part.count, at: part.lowerBound)
        }
    }
}
