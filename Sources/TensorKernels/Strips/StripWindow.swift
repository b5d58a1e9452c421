/// What a convolution of a strip reads: the rows of the picture that its own output rows need, and zeros only where the
/// picture ends.
public struct StripWindow: Sendable {
    public let way: ConvolutionWay
    /// This rank's rows of the output, and its columns.
    let rows: Range<Int>
    let width: Int
    /// The rows of the input that are read here.
    let inputRows: Range<Int>
    /// Of every strip; nil where all is here.
    let needed: [Range<Int>]?
    /// Whether all rows of the output are computed here, of which `rows` are kept.
    let computesAll: Bool

    /// - Parameter x: this rank's rows of the input.
    public init(_ geometry: ConvolutionGeometry, of x: Tensor, in context: ComputeContext) {
        self.init(geometry, height: context.cut(of: x).height, width: x.shape[1], in: context)
    }

    /// - Parameter height: of the whole input, as `width`.
    public init(_ geometry: ConvolutionGeometry, height: Int, width: Int, in context: ComputeContext) {
        let input = context.cut(width: width, height: height)
        let output = context.cut(
            width: geometry.outputWidth(of: width), height: geometry.outputHeight(of: height))
        let side = ConvolutionWay.tileSide(geometry, height: height, width: width, in: context)
        // With whole tiles above and below: their grid is the picture's.
        let made = output.rows.map { rows in
            guard let side else { return rows }
            let tiles = WinogradTiles.rows(side, having: rows)
            return tiles.lowerBound * side..<min(tiles.upperBound * side, output.height)
        }
        let windows = made.map { rows in
            let first = rows.lowerBound * geometry.stride - geometry.padding.top
            return first..<(rows.count - 1) * geometry.stride + geometry.kernel + first
        }
        let isShared = input.isShared && output.isShared
        computesAll = !isShared && side == nil && geometry.isSmall(height: height, width: width)
        let inside = windows.map { [computesAll] in
            computesAll ? 0..<input.height : $0.clamped(to: 0..<input.height)
        }
        needed = isShared ? nil : inside
        let own = context.ownStrip
        rows = output.rows[own]
        self.width = geometry.outputWidth(of: width)
        inputRows = needed == nil ? 0..<input.height : inside[own]
        if let side {
            way = .tiled(WinogradTiles(side, WinogradTiles.rows(side, having: rows), geometry, width: width))
        } else if isShared || computesAll {
            way = .direct(geometry)
        } else {
            way = .direct(
                geometry.with(
                    top: inputRows.lowerBound - windows[own].lowerBound,
                    bottom: windows[own].upperBound - inputRows.upperBound))
        }
    }

    /// The rows that are needed, whoever has them.
    public func input(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return x }
        return try context.rows(of: x) { needed[$0] }
    }
}

extension ConvolutionGeometry {
    /// Whether a convolution is so small that every strip computes all of it where it is not computed in tiles: which order
    /// oneDNN sums channels in depends on the rows there (results of up to 4 x 4, of some numbers of channels), and reading
    /// the kernel takes most of the time, which strips would not save.
    ///
    /// - Parameter height: of the whole input, as `width`.
    func isSmall(height: Int, width: Int) -> Bool {
        kernel > 1 && outputHeight(of: height) * outputWidth(of: width) <= 64
    }

    /// The same with other rows of zeros.
    func with(top: Int, bottom: Int) -> ConvolutionGeometry {
        ConvolutionGeometry(
            inputs: inputs, outputs: outputs, kernel: kernel, stride: stride,
            padding: Padding(top: top, bottom: bottom, left: padding.left, right: padding.right))
    }
}
