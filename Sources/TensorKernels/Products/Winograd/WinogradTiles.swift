/// The rows of tiles that are computed of a convolution by Winograd. They lie on a grid that begins at the first row and
/// column of the whole result, so that a result has the same bits whichever part of the picture is computed with it.
///
/// A tile of `results` x `results` numbers of the result is made of a patch of the input that is two rows and columns
/// larger (Lavin and Gray, arXiv 1509.09308). All rows here are counted in the whole picture.
public struct WinogradTiles: Sendable, Hashable {
    let results: Int
    /// Those of the grid's rows of tiles.
    let rows: Range<Int>
    /// Tiles in a row.
    let columns: Int
    private let top: Int
    private let left: Int

    /// - Parameter width: of the input.
    init(_ results: Int, _ rows: Range<Int>, _ geometry: ConvolutionGeometry, width: Int) {
        self.results = results
        self.rows = rows
        columns = (geometry.outputWidth(of: width) + results - 1) / results
        top = geometry.padding.top
        left = geometry.padding.left
    }

    /// Numbers of a patch, each of which is multiplied once.
    var positions: Int { Self.positions(results) }

    /// The rows of the input that the patches reach, where it has them.
    var reach: Range<Int> {
        guard !rows.isEmpty else { return 0..<0 }
        return rows.lowerBound * results - top..<rows.upperBound * results - top + 2
    }

    /// The rows of the result that the tiles have.
    ///
    /// - Parameter height: of the whole result.
    func results(within height: Int) -> Range<Int> {
        min(rows.lowerBound * results, height)..<min(rows.upperBound * results, height)
    }

    /// Those of the rows of tiles of which a patch has some of `rows` of the input.
    func reaching(_ rows: Range<Int>) -> Range<Int> {
        guard !rows.isEmpty else { return self.rows.lowerBound..<self.rows.lowerBound }
        // Tile t reaches results t - top ..< results t - top + results + 2.
        let first = max(0, rows.lowerBound + top - 2) / results
        let end = (rows.upperBound + top + results - 1) / results
        return (first..<max(first, end)).clamped(to: self.rows)
    }

    /// How squares of a picture's pixels lie that tiles are made of, or patches.
    struct Squares {
        /// Pixels from one to the next.
        let step: Int
        /// How many are in a row of the grid.
        let columns: Int
        /// The first one's first pixel, counted from the first row that is here.
        let top: Int
        let left: Int
        let height: Int
        let width: Int
    }

    /// The patches, counted from the first of these rows of tiles.
    ///
    /// - Parameter rows: of the input, that are here.
    func patches(on rows: Range<Int>, width: Int) -> Squares {
        Squares(
            step: results, columns: columns, top: self.rows.lowerBound * results - top - rows.lowerBound, left: -left,
            height: rows.count, width: width)
    }

    /// The tiles of the result.
    func tiles(on rows: Range<Int>, width: Int) -> Squares {
        Squares(
            step: results, columns: columns, top: self.rows.lowerBound * results - rows.lowerBound, left: 0,
            height: rows.count, width: width)
    }

    static func positions(_ results: Int) -> Int { (results + 2) * (results + 2) }

    /// The rows of tiles that have some of `rows` of the result.
    static func rows(_ results: Int, having rows: Range<Int>) -> Range<Int> {
        rows.lowerBound / results..<(rows.upperBound + results - 1) / results
    }

    /// The rows of tiles of which the first row is one of `rows` of the result: whoever has these has the tiles.
    static func rows(_ results: Int, beginningIn rows: Range<Int>) -> Range<Int> {
        (rows.lowerBound + results - 1) / results..<(rows.upperBound + results - 1) / results
    }
}

extension ConvolutionGeometry {
    /// Of Winograd's ways the one that suits this convolution: the side of a tile, nil where it is computed directly.
    ///
    /// It decides the bits, so it depends on the layer, the format and the whole picture alone. Tiles of 4 save the most,
    /// but their kernels take four times the room of the plain ones, and those of the deepest levels are read once for few
    /// tiles: there tiles of 2 are as fast. In bfloat16 tiles of 4 would lose too much. docs/convolutions.md has the
    /// measurements.
    ///
    /// - Parameters:
    ///   - height: of the whole input, as `width`.
    ///   - type: of the numbers that are multiplied.
    package func tileSide(height: Int, width: Int, as type: ElementType) -> Int? {
        let few = 32
        guard kernel == 3, stride == 1, inputs >= few, outputs >= few else { return nil }
        func tiles(_ side: Int) -> Int {
            let (height, width) = (outputHeight(of: height), outputWidth(of: width))
            return ((height + side - 1) / side) * ((width + side - 1) / side)
        }
        if type == .float32 && tiles(4) >= 16 && inputs * outputs <= Self.largestKernelOfLargeTiles { return 4 }
        return tiles(2) >= 16 ? 2 : nil
    }

    /// Inputs times outputs: of Stable Diffusion's levels the first two, and the way into the third.
    private static let largestKernelOfLargeTiles = 1920 * 640

    /// What the convolution does where it is computed in tiles; nil where it is not.
    ///
    /// - Returns: multiplications, and the numbers of the transformed kernels.
    public func tiling(
        height: Int, width: Int, as type: ElementType
    ) -> (multiplications: Int, kernelValues: Int)? {
        guard let side = tileSide(height: height, width: width, as: type) else { return nil }
        func tiles(_ results: Int) -> Int { (results + side - 1) / side }
        let kernelValues = WinogradTiles.positions(side) * inputs * outputs
        let count = tiles(outputHeight(of: height)) * tiles(outputWidth(of: width))
        return (count * kernelValues, kernelValues)
    }
}
