/// How a picture's rows are dealt to ranks at one resolution: consecutive runs from the top down, or all rows to every
/// rank, which then computes the same as the others.
public struct StripCut: Sendable, Hashable {
    public let height: Int
    /// The rows of each rank.
    public let rows: [Range<Int>]
    /// Whether every rank has all rows.
    public let isShared: Bool

    /// Runs that end at `borders`, the last of which is the picture's height.
    init(borders: [Int]) {
        height = borders[borders.count - 1]
        rows = zip([0] + borders, borders).map { $0..<$1 }
        isShared = borders.count == 1
    }

    /// All rows to every one of `strips` ranks.
    package init(shared height: Int, strips: Int) {
        self.height = height
        rows = [Range<Int>](repeating: 0..<height, count: strips)
        isShared = true
    }
}

/// How a picture is cut into strips at every resolution of a network: the rows that a rank holds at a coarser level are
/// those whose first row of the finer one it holds.
///
/// A level is known by its width, which is whole everywhere and about half of that of the level above. From the level on
/// at which a rank would be left without rows, all ranks hold all rows.
public struct StripGrid: Sendable, Hashable {
    public let strips: Int
    /// The columns of the finest level.
    public let finestWidth: Int
    private let cuts: [Int: StripCut]

    /// - Parameters:
    ///   - height: of the finest level, as `width`.
    ///   - halvings: how many coarser levels there are, each of half the sides, rounded up.
    ///   - strips: among how many ranks the rows are dealt.
    public init(height: Int, width: Int, halvings: Int, strips: Int) {
        precondition(height > 0 && width > 0 && halvings >= 0 && strips > 0, "a picture and its ranks")
        self.strips = strips
        finestWidth = width
        var cuts: [Int: StripCut] = [:]
        var borders = (1...strips).map { height * $0 / strips }
        var width = width
        for _ in 0...halvings {
            // At a width of 1 levels can't be told apart any more.
            guard strips > 1, width > 1, Self.areApart(borders) else { break }
            cuts[width] = StripCut(borders: borders)
            borders = borders.map { ($0 + 1) / 2 }
            width = (width + 1) / 2
        }
        self.cuts = cuts
    }

    /// How a picture of `width` columns is cut.
    ///
    /// - Parameter rows: those that are here, by which a level that is not cut has its height.
    public func cut(width: Int, rows: Int) -> StripCut { cuts[width] ?? StripCut(shared: rows, strips: strips) }

    private static func areApart(_ borders: [Int]) -> Bool { zip([0] + borders, borders).allSatisfy { $0 < $1 } }
}
