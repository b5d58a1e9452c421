import CVectorKernels

/// A tensor as a file holds it, row-major in its own element type; the bytes stay in the mapped file until they are
/// asked for.
///
/// A value keeps the file mapped for as long as it lives.
public struct StoredTensor: Sendable {
    public let name: String
    /// The path of the file it comes from; for a tensor made in memory, a word that says so.
    public let file: String
    public let elementType: StoredElementType
    public let shape: [Int]
    /// The number of elements: the product of `shape`, 1 for a scalar.
    public let count: Int
    private let contents: Contents

    private enum Contents: Sendable {
        case mapped(MappedFile, Range<Int>)
        case values([Float])
        case zeros
        indirect case derived(StoredTensor, any DerivedValues)
    }

    /// The tensor at `range` of a mapped file, whose size the caller has checked against `shape` and `elementType`.
    init(name: String, elementType: StoredElementType, shape: [Int], count: Int, mapping: MappedFile, range: Range<Int>)
    {
        precondition(range.count == count * elementType.byteCount, "a stored tensor's bytes must fill its shape")
        self.name = name
        self.file = mapping.path
        self.elementType = elementType
        self.shape = shape
        self.count = count
        self.contents = .mapped(mapping, range)
    }

    /// A float32 tensor made in memory.
    /// - Precondition: `values` fill `shape`.
    public init(name: String, shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "a tensor's values must fill its shape")
        self.name = name
        self.file = "(memory)"
        self.elementType = .float32
        self.shape = shape
        self.count = values.count
        self.contents = .values(values)
    }

    /// A float32 tensor of zeros that holds no memory; it stands for one that is not there.
    public init(placeholder name: String, shape: [Int]) {
        self.name = name
        self.file = "(placeholder)"
        self.elementType = .float32
        self.shape = shape
        self.count = shape.reduce(1, *)
        self.contents = .zeros
    }

    /// A float32 tensor of the same shape whose values are computed from another's whenever they are read.
    public init(_ original: StoredTensor, changedBy values: any DerivedValues) {
        self.init(
            original, elementType: .float32, shape: original.shape, contents: .derived(original, values))
    }

    private init(
        _ other: StoredTensor, name: String? = nil, elementType: StoredElementType? = nil, shape: [Int],
        contents: Contents? = nil
    ) {
        self.name = name ?? other.name
        self.file = other.file
        self.elementType = elementType ?? other.elementType
        self.shape = shape
        self.count = shape.reduce(1, *)
        self.contents = contents ?? other.contents
    }

    /// Whether this stands for a tensor that is not there; packing its zeros is a waste of memory.
    public var isPlaceholder: Bool {
        if case .zeros = contents { true } else { false }
    }

    /// The bytes the tensor takes in its file.
    public var byteCount: Int { count * elementType.byteCount }

    /// Calls `body` with the elements' bytes, little-endian, which are valid for the time of the call and may lie at any
    /// alignment.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch contents {
        case .mapped(let mapping, let range):
            try mapping.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        case .values(let values):
            try values.withUnsafeBytes(body)
        case .zeros:
            try [Float](repeating: 0, count: count).withUnsafeBytes(body)
        case .derived:
            try float32Values().withUnsafeBytes(body)
        }
    }

    /// Where the values come from, if they are computed from another tensor's.
    var derivation: (original: StoredTensor, values: any DerivedValues)? {
        if case .derived(let original, let values) = contents { (original, values) } else { nil }
    }

    /// Where the elements lie in the mapped file, and what keeps them there; nil for a tensor made in memory.
    var mappedPlace: (pointer: UnsafeRawPointer, owner: any AnyObject & Sendable)? {
        guard case .mapped(let mapping, let range) = contents else { return nil }
        return mapping.withUnsafeBytes { bytes in bytes.baseAddress.map { ($0 + range.lowerBound, mapping) } }
    }

    /// Writes the elements as float32 to `target`, which has room for `count` of them.
    ///
    /// - Parameter context: whose threads share the work, where there is any; nil for the calling thread alone.
    /// - Precondition: `elementType.isNetworkType`.
    public func copyFloat32(to target: UnsafeMutablePointer<Float>, in context: ComputeContext? = nil) {
        precondition(elementType.isNetworkType, "\(elementType.rawValue) elements are not read as float32")
        if let (original, values) = derivation {
            original.copyFloat32(to: target, in: context)
            values.change(target, in: context)
            return
        }
        if isPlaceholder {
            target.update(repeating: 0, count: count)
            return
        }
        withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress, count > 0 else { return }
            switch elementType {
            case .float16:
                withAlignedHalves(bytes) { pilot_float32_from_float16($0, target, count) }
            case .bfloat16:
                withAlignedHalves(bytes) { pilot_float32_from_bfloat16($0, target, count) }
            default:
                UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: bytes.count)
            }
        }
    }

    /// The elements as float32, in row-major order.
    ///
    /// - Parameter context: as for `copyFloat32`.
    /// - Precondition: `elementType.isNetworkType`.
    public func float32Values(in context: ComputeContext? = nil) -> [Float] {
        if case .values(let values) = contents { return values }
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let target = buffer.baseAddress { copyFloat32(to: target, in: context) }
            initialized = count
        }
    }

    /// The same elements under another shape.
    /// - Precondition: the shapes have the same number of elements.
    public func reshaped(_ shape: [Int]) -> StoredTensor {
        precondition(shape.reduce(1, *) == count, "\(name): \(self.shape) cannot be seen as \(shape)")
        return StoredTensor(self, shape: shape)
    }

    /// One of `parts` equal blocks of rows, in place; its name says which: `in_proj_weight[1 of 3]`.
    /// - Precondition: the parts divide the first axis.
    public func rows(part: Int, of parts: Int) -> StoredTensor {
        precondition(
            !shape.isEmpty && parts > 0 && (0..<parts).contains(part) && shape[0] % parts == 0,
            "\(name): \(shape) has no part \(part) of \(parts)")
        let length = count / parts
        let elements = part * length..<(part + 1) * length
        let contents: Contents =
            switch contents {
            case .mapped(let mapping, let range):
                .mapped(
                    mapping,
                    range.lowerBound + elements.lowerBound * elementType.byteCount..<range.lowerBound
                        + elements.upperBound * elementType.byteCount)
            case .values(let values): .values(Array(values[elements]))
            case .zeros: .zeros
            case .derived: .values(Array(float32Values()[elements]))
            }
        return StoredTensor(
            self, name: "\(name)[\(part + 1) of \(parts)]", shape: [shape[0] / parts] + shape.dropFirst(),
            contents: contents)
    }

    /// The index of the first element that is NaN or infinite, or nil if all are finite.
    /// - Precondition: `elementType.isNetworkType`.
    public var firstNonFinite: Int? {
        if isPlaceholder { return nil }
        return withUnsafeBytes { indexOfFirstNonFinite(in: $0, elementType) }
    }

    /// Lets the system take back the memory that reading the tensor has brought in; it may be read again.
    public func releasePages() {
        switch contents {
        case .mapped(let mapping, let range): mapping.adviseUnneeded(range)
        case .derived(let original, let values):
            original.releasePages()
            values.releasePages()
        case .values, .zeros: break
        }
    }
}

// A header of odd length puts 16-bit elements at odd addresses, which C's uint16_t pointers must not have.
private func withAlignedHalves(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafePointer<UInt16>) -> Void) {
    guard let base = bytes.baseAddress else { return }
    if Int(bitPattern: base) % MemoryLayout<UInt16>.alignment == 0 {
        body(base.assumingMemoryBound(to: UInt16.self))
    } else {
        let copy = [UInt16](unsafeUninitializedCapacity: bytes.count / 2) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
            initialized = bytes.count / 2
        }
        copy.withUnsafeBufferPointer { buffer in
            if let aligned = buffer.baseAddress { body(aligned) }
        }
    }
}
