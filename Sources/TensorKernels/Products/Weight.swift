import CVectorKernels
import Synchronization

/// A parameter that is read when it is first needed, in the format in which it is needed.
///
/// Holding one costs nothing, so every rank can hold a whole network and pay for the layers it runs.
public final class Weight: Sendable {
    public let name: String
    public let shape: [Int]
    private let source: any WeightValues
    private let store: WeightStore
    private let identity: WeightIdentity
    private let kept = Mutex<[Float]?>(nil)
    /// So that two threads don't make the same copy at once.
    private let making = Mutex(())

    /// - Parameter store: where copies in other formats and layouts are kept.
    public init(_ stored: StoredTensor, in store: WeightStore = WeightStore()) {
        name = stored.name
        shape = stored.shape
        source = stored
        self.store = store
        identity = store.identity(of: stored)
    }

    /// What `derivation` makes of another weight: `source` computes it.
    init(_ derivation: String, of original: Weight, shape: [Int], source: any WeightValues) {
        name = original.name
        self.shape = shape
        self.source = source
        store = original.store
        identity = original.identity.derived(derivation)
    }

    public var count: Int { shape.reduce(1, *) }

    /// The values as float32, not kept.
    public func values() -> [Float] { source.float32Values(in: nil) }

    /// Calls `body` with the values as float32: in place where a mapped file has them so, else in a copy that goes
    /// when it returns.
    ///
    /// - Parameter context: whose threads compute values that are computed; nil for the calling thread alone.
    func withFloat32<Result>(
        in context: ComputeContext?, _ body: (UnsafePointer<Float>) throws -> Result
    ) rethrows -> Result {
        if let place = source.place(of: .float32) {
            defer { withExtendedLifetime(place.owner) {} }
            return try body(place.pointer.assumingMemoryBound(to: Float.self))
        }
        let values = source.float32Values(in: context)
        return try values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { preconditionFailure("a weight without elements") }
            return try body(start)
        }
    }

    /// The values as float32, kept for the next call: for the small parameters that stay float32 in any format.
    public func vector() -> [Float] {
        kept.withLock { kept in
            if let kept { return kept }
            let values = source.float32Values(in: nil)
            kept = values
            return values
        }
    }

    /// The values in the context's format, row-major: in place in a mapped file when that has the format already.
    public func tensor(in context: ComputeContext) throws -> Tensor {
        let type = context.elementType
        if let place = source.place(of: type) {
            return Tensor(sharing: place.pointer, shape: shape, type, owner: place.owner)
        }
        let copy = try made(as: "row-major \(type.rawValue)", byteCount: count * type.byteCount, in: context) {
            target, context in
            switch type {
            case .float32: source.copyFloat32(to: target.assumingMemoryBound(to: Float.self), in: context)
            case .bfloat16:
                withFloat32(in: context) { values in
                    pilot_bfloat16_from_float32(values, target.assumingMemoryBound(to: UInt16.self), count)
                }
            }
        }
        return Tensor(sharing: copy.pointer, shape: shape, type, owner: copy)
    }

    /// The store's copy of the values in `form`, made by `fill` if it is not there yet: from the values as float32, into
    /// `byteCount` bytes, with the context that it is given. The pages of a mapped file that were read for it are given
    /// back.
    func copy(
        as form: String, byteCount: Int, in context: ComputeContext,
        fill: (UnsafePointer<Float>, UnsafeMutableRawPointer, ComputeContext) throws -> Void
    ) throws -> Buffer {
        try made(as: form, byteCount: byteCount, in: context) { target, context in
            try withFloat32(in: context) { values in try fill(values, target, context) }
        }
    }

    private func made(
        as form: String, byteCount: Int, in context: ComputeContext,
        fill: (UnsafeMutableRawPointer, ComputeContext) throws -> Void
    ) throws -> Buffer {
        func filled(_ target: UnsafeMutableRawPointer, _ context: ComputeContext) throws {
            try fill(target, context)
            source.releasePages()
        }
        guard context.computes else {
            if let context = context.layingOut {
                try making.withLock { _ in
                    try store.layOut(identity, as: form, byteCount: byteCount) { try filled($0, context) }
                }
            }
            return Buffer(byteCount: byteCount, pool: context.pool)
        }
        return try making.withLock { _ in
            try store.copy(of: identity, as: form, byteCount: byteCount, in: context) { try filled($0, context) }
        }
    }

    /// Tells a mapped file that its pages may go.
    func releasePages() { source.releasePages() }
}

/// Where a weight's numbers are.
protocol WeightValues: Sendable {
    /// - Parameter context: whose threads compute values that are computed; nil for the calling thread alone.
    func float32Values(in context: ComputeContext?) -> [Float]
    /// The same, to where there is room for them.
    func copyFloat32(to target: UnsafeMutablePointer<Float>, in context: ComputeContext?)
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
