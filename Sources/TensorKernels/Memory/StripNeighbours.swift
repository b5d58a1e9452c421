/// Where the rows that a rank holds lie in their picture.
public struct Strip: Sendable, Hashable {
    public let rows: Range<Int>
    /// Of how many rows the picture has in all.
    public let height: Int

    public init(rows: Range<Int>, height: Int) {
        self.rows = rows
        self.height = height
    }

    public var isFirst: Bool { rows.lowerBound == 0 }
    public var isLast: Bool { rows.upperBound == height }
}

/// The ranks that hold the other rows of a picture, as a layer meets them.
///
/// A picture may be cut into strips, consecutive rows `[rows, width, channels]` of every activation, a rank each. A
/// layer that needs rows or sums of others asks here, and waits for them: all ranks of a picture make the same calls in
/// the same order. An answer has the same bits however the picture is cut.
public protocol StripNeighbours: Sendable {
    /// Where the rows of `x` lie.
    func strip(of x: Tensor) -> Strip

    /// `x` between the `above` rows before it and the `below` rows after it, as far as the picture has them.
    func addingBorders(to x: Tensor, above: Int, below: Int, in context: ComputeContext) throws -> Tensor

    /// The whole picture of which `x` is this rank's part.
    func gatheringRows(of x: Tensor, in context: ComputeContext) throws -> Tensor

    /// The numbers of all strips, from the top down.
    func inRowOrder<Number: BitwiseCopyable & Sendable>(_ numbers: [Number]) throws -> [Number]
}

/// The surroundings of a rank that holds whole pictures: there is nobody to ask.
public struct WholePicture: StripNeighbours {
    public init() {}

    public func strip(of x: Tensor) -> Strip { Strip(rows: 0..<x.shape[0], height: x.shape[0]) }

    public func addingBorders(to x: Tensor, above: Int, below: Int, in context: ComputeContext) -> Tensor { x }

    public func gatheringRows(of x: Tensor, in context: ComputeContext) -> Tensor { x }

    public func inRowOrder<Number: BitwiseCopyable & Sendable>(_ numbers: [Number]) -> [Number] { numbers }
}
