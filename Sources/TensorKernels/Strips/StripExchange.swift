/// The way to the ranks that hold the other strips of a picture.
///
/// All of them make the same calls in the same order.
public protocol StripExchange: Sendable {
    /// Which strip is here, 0 at the top.
    var strip: Int { get }

    /// Begins to give each of `outgoing` to its strip, and to take what the strips of `incoming` give: as many bytes as the
    /// target has; of several from one strip, in the order in which it gives them. Waits for nobody.
    ///
    /// One exchange is under way at a time. After one that was begun and not finished there can be no other, since what was
    /// given in it would be taken for theirs.
    func begin(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) throws -> any StripTransfer
}

extension StripExchange {
    /// Gives and takes, and waits for all of it.
    public func exchange(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) throws {
        try begin(outgoing, incoming).finish()
    }
}

/// An exchange that was begun, on the thread that began it.
///
/// Targets are written in `begin` and in these calls alone, so whoever drops it, after an error, may free them.
public protocol StripTransfer {
    /// Waits until all that `strip` gives is here; for this rank's own strip, and for all others too, until nobody waits
    /// for something that moves only while this thread looks after it.
    func wait(for strip: Int) throws

    /// Whether `wait(for:)` would return at once.
    func hasCome(from strip: Int) -> Bool

    /// Waits until all is given and taken.
    func finish() throws
}

/// Memory that nobody writes to any more, on its way from strip to strip.
public struct StripBytes: @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let owner: any Sendable

    /// - Parameter owner: keeps the bytes where they are, as they are.
    public init(_ bytes: UnsafeRawBufferPointer, keeping owner: any Sendable) {
        self.bytes = bytes
        self.owner = owner
    }

    public var count: Int { bytes.count }

    /// The pointer stays good as long as this value is kept.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(bytes) }
    }

    /// An array that is kept stays where it is.
    init(_ numbers: [Double]) { self.init(numbers.withUnsafeBytes { $0 }, keeping: numbers) }

    /// Some rows of a picture.
    init(_ rows: Range<Int>, of x: Tensor) {
        let row = x.count / x.shape[0]
        let bytes = UnsafeRawBufferPointer(
            start: x.pointer(at: rows.lowerBound * row), count: rows.count * row * x.elementType.byteCount)
        self.init(bytes, keeping: x)
    }
}

/// The ranks among which a picture is cut, seen from one of them.
struct Strips: Sendable {
    let grid: StripGrid
    let exchange: any StripExchange

    var own: Int { exchange.strip }
    var others: [Int] { (0..<grid.strips).filter { $0 != own } }
}
