/// What a convolution of a strip reads: the rows of the picture that its own output rows need, and zeros only where the
/// picture ends.
public struct StripWindow: Sendable {
    public let way: ConvolutionWay
    /// This rank's rows of the output, and its columns.
    let outputSize: (height: Int, width: Int)
    /// Of every strip; nil where all is here.
    let needed: [Range<Int>]?

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
        let inside = windows.map { $0.clamped(to: 0..<input.height) }
        needed = input.isShared && output.isShared ? nil : inside
        let own = context.ownStrip
        let (rows, read) = (output.rows[own], needed == nil ? 0..<input.height : inside[own])
        outputSize = (rows.count, geometry.outputWidth(of: width))
        if let side {
            way = .tiled(
                WinogradTiles(
                    side, WinogradTiles.rows(side, having: rows), geometry, width: width, resultRow: rows.lowerBound,
                    inputRow: read.lowerBound))
        } else if needed == nil {
            way = .direct(geometry)
        } else {
            way = .direct(
                geometry.with(
                    top: read.lowerBound - windows[own].lowerBound, bottom: windows[own].upperBound - read.upperBound))
        }
    }

    /// The rows that are needed, whoever has them.
    public func input(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return x }
        return try context.rows(of: x) { needed[$0] }
    }
}

/// What the input gradient of a convolution of a strip reads: the rows of the output's gradient that reach its own rows
/// of the input.
public struct StripGradientWindow: Sendable {
    public let way: ConvolutionWay
    /// This rank's rows of the input, and their columns.
    public let rows: Range<Int>
    public let width: Int
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
        let side = ConvolutionWay.tileSide(geometry, height: height, width: width, in: context)
        let own = context.ownStrip
        rows = input.rows[own]
        self.width = width
        let (stride, kernel, top) = (geometry.stride, geometry.kernel, geometry.padding.top)
        func tiles(_ side: Int, _ rows: Range<Int>) -> Range<Int> {
            WinogradTiles.rows(side, reading: rows, top: top, height: output.height)
        }
        // Input row i is read by the outputs o with 0 <= i + top - o stride < kernel.
        let reading = input.rows.map { rows in
            if let side {
                let tiles = tiles(side, rows)
                return tiles.lowerBound * side..<min(tiles.upperBound * side, output.height)
            }
            let first = max(0, rows.lowerBound + top - kernel + stride) / stride
            let last = (rows.upperBound - 1 + top) / stride
            return (first..<max(first, last) + 1).clamped(to: 0..<output.height)
        }
        needed = input.isShared && output.isShared ? nil : reading
        let read = needed == nil ? 0..<output.height : reading[own]
        if let side {
            let tiles = tiles(side, rows)
            way = .tiled(
                WinogradTiles(
                    side, tiles, geometry, width: width, resultRow: read.lowerBound, inputRow: rows.lowerBound))
        } else if needed == nil {
            way = .direct(geometry)
        } else {
            let newTop = rows.lowerBound + top - read.lowerBound * stride
            let reach = (read.count - 1) * stride + kernel
            way = .direct(geometry.with(top: newTop, bottom: max(0, reach - rows.count - newTop)))
        }
    }

    /// The rows that are needed, whoever has them.
    public func input(_ dy: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return dy }
        return try context.rows(of: dy) { needed[$0] }
    }
}

extension ConvolutionGeometry {
    fileprivate func with(top: Int, bottom: Int) -> ConvolutionGeometry {
        ConvolutionGeometry(
            inputs: inputs, outputs: outputs, kernel: kernel, stride: stride,
            padding: Padding(top: top, bottom: bottom, left: padding.left, right: padding.right))
    }
}
