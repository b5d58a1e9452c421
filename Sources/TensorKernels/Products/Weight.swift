import CVectorKernels
import Synchronization

/// A parameter that is read when it is first needed, in the format in which it is needed.
///
/// Holding one costs nothing, so every rank can hold a whole network and pay for the layers it runs.
public final class Weight: Sendable {
    public let name: String
    public let shape: [Int]
    private let source: any WeightValues
    private let loaded = Mutex<[ElementType: Tensor]>([:])
    private let kept = Mutex<[Float]?>(nil)

    public convenience init(_ stored: StoredTensor) {
        self.init(name: stored.name, shape: stored.shape, source: stored)
    }

    init(name: String, shape: [Int], source: any WeightValues) {
        self.name = name
        self.shape = shape
        self.source = source
    }

    public var count: Int { shape.reduce(1, *) }

    /// The values as float32, not kept.
    public func values() -> [Float] { source.float32Values() }

    /// Calls `body` with the values as float32: in place where a mapped file has them so, else in a copy that goes
    /// when it returns.
    func withFloat32<Result>(_ body: (UnsafePointer<Float>) throws -> Result) rethrows -> Result {
        if let place = source.place(of: .float32) {
            defer { withExtendedLifetime(place.owner) {} }
            return try body(place.pointer.assumingMemoryBound(to: Float.self))
        }
        let values = source.float32Values()
        return try values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { preconditionFailure("a weight without elements") }
            return try body(start)
        }
    }

    /// The values as float32, kept for the next call: for the small parameters that stay float32 in any format.
    public func vector() -> [Float] {
        kept.withLock { kept in
            if let kept { return kept }
            let values = source.float32Values()
            kept = values
            return values
        }
    }

    /// The values in the context's format, row-major; kept for the next call, or in place in a mapped file when that
    /// has the format already.
    public func tensor(in context: ComputeContext) -> Tensor {
        loaded.withLock { loaded in
            if let tensor = loaded[context.elementType] { return tensor }
            let tensor: Tensor
            if let place = source.place(of: context.elementType) {
                tensor = Tensor(sharing: place.pointer, shape: shape, context.elementType, owner: place.owner)
            } else {
                tensor = Tensor(source.float32Values(), shape: shape, in: context)
                source.releasePages()
            }
            loaded[context.elementType] = tensor
            return tensor
        }
    }

    /// Tells a mapped file that these values were copied and its pages may go.
    func releasePages() { source.releasePages() }
}

/// Where a weight's numbers are.
protocol WeightValues: Sendable {
    func float32Values() -> [Float]
    /// The numbers in memory in just this format, if that is where they are.
    func place(of elementType: ElementType) -> (pointer: UnsafeRawPointer, owner: any AnyObject & Sendable)?
    func releasePages()
}

extension StoredTensor: WeightValues {
    func place(of elementType: ElementType) -> (pointer: UnsafeRawPointer, owner: any AnyObject & Sendable)? {
        guard self.elementType == (elementType == .float32 ? .float32 : .bfloat16), let place = mappedPlace,
            Int(bitPattern: place.pointer) % elementType.byteCount == 0
        else { return nil }
        return place
    }
}
