/// What the input gradient of a convolution of a strip reads: the rows of the output's gradient that reach its own rows
/// of the input. In tiles, those of its own tiles alone, whose patches reach into its neighbours' rows as well: what they
/// have there is added by these.
public struct StripGradientWindow: Sendable {
    public let way: ConvolutionWay
    /// This rank's rows of the input, and their columns.
    public let rows: Range<Int>
    public let width: Int
    /// The rows of the output's gradient that are read here.
    let slopeRows: Range<Int>
    /// Whether all rows of the input's gradient are computed here, of which `rows` are kept.
    let computesAll: Bool
    /// The rows of the whole input.
    let height: Int
    /// Nil where each strip computes all of its own rows.
    let parts: StripParts?
    /// Of every strip; nil where all is here.
    private let needed: [Range<Int>]?

    /// - Parameters:
    ///   - height: of the whole input, as `width`.
    ///   - dy: this rank's rows of the output's gradient.
    public init(
        _ geometry: ConvolutionGeometry, height: Int, width: Int, of dy: Tensor, in context: ComputeContext
    ) {
        let input = context.cut(width: width, height: height)
        let output = context.cut(of: dy)
        let own = context.ownStrip
        rows = input.rows[own]
        self.width = width
        self.height = input.height
        let isWhole = input.isShared && output.isShared
        let all = 0..<output.height
        if let side = ConvolutionWay.tileSide(geometry, height: height, width: width, in: context) {
            // Where all ranks have all rows of one of both, each computes the tiles that its own rows want.
            let addsParts = !input.isShared && !output.isShared
            let tiles = input.rows.indices.map { strip in
                let grid = WinogradTiles(side, WinogradTiles.rows(side, having: all), geometry, width: width)
                return WinogradTiles(
                    side,
                    addsParts
                        ? WinogradTiles.rows(side, beginningIn: output.rows[strip]) : grid.reaching(input.rows[strip]),
                    geometry, width: width)
            }
            // A strip without tiles reads what it has.
            let reading = zip(tiles, output.rows).map { $0.rows.isEmpty ? $1 : $0.results(within: output.height) }
            way = .tiled(tiles[own])
            computesAll = false
            parts =
                addsParts
                ? StripParts(owned: input.rows, reached: tiles.map { $0.reach.clamped(to: 0..<input.height) }) : nil
            needed = isWhole ? nil : reading
            slopeRows = isWhole ? all : reading[own]
            return
        }
        computesAll = !isWhole && geometry.isSmall(height: input.height, width: width)
        let (stride, kernel, top) = (geometry.stride, geometry.kernel, geometry.padding.top)
        // Input row i is read by the outputs o with 0 <= i + top - o stride < kernel.
        let reading = input.rows.map { [computesAll] rows in
            if computesAll { return all }
            let first = max(0, rows.lowerBound + top - kernel + stride) / stride
            let last = (rows.upperBound - 1 + top) / stride
            return (first..<max(first, last) + 1).clamped(to: all)
        }
        parts = nil
        needed = isWhole ? nil : reading
        slopeRows = isWhole ? all : reading[own]
        guard !isWhole, !computesAll else {
            way = .direct(geometry)
            return
        }
        let newTop = rows.lowerBound + top - slopeRows.lowerBound * stride
        let reach = (slopeRows.count - 1) * stride + kernel
        way = .direct(geometry.with(top: newTop, bottom: max(0, reach - rows.count - newTop)))
    }

    /// The rows that are needed, whoever has them.
    public func input(_ dy: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return dy }
        return try context.rows(of: dy) { needed[$0] }
    }
}
