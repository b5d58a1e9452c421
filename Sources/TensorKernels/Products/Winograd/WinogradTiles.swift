/// How the tiles of a convolution by Winograd lie: on a grid that begins at the first row and column of the whole result,
/// so that a result has the same bits whichever part of the picture is computed with it.
///
/// A tile of `results` x `results` numbers of the result is made of a patch of the input that is two rows and columns
/// larger (Lavin and Gray, arXiv 1509.09308).
public struct WinogradTiles: Sendable, Hashable {
    let results: Int
    /// Rows of tiles, and tiles in a row.
    let rows: Int
    let columns: Int
    /// The row of the result at which the first tile begins, counted from the first row of it that is here, and the row of
    /// the input at which its patch does.
    let tileTop: Int
    let patchTop: Int
    let patchLeft: Int

    /// - Parameters:
    ///   - rows: those of the grid's rows of tiles that are computed.
    ///   - width: of the input.
    ///   - resultRow: the first row of the result that is here, in the whole result.
    ///   - inputRow: the same of the input.
    init(
        _ results: Int, _ rows: Range<Int>, _ geometry: ConvolutionGeometry, width: Int, resultRow: Int, inputRow: Int
    ) {
        self.results = results
        self.rows = rows.count
        columns = (geometry.outputWidth(of: width) + results - 1) / results
        tileTop = rows.lowerBound * results - resultRow
        patchTop = rows.lowerBound * results - geometry.padding.top - inputRow
        patchLeft = -geometry.padding.left
    }

    var count: Int { rows * columns }
    /// Numbers of a patch, each of which is multiplied once.
    var positions: Int { Self.positions(results) }

    static func positions(_ results: Int) -> Int { (results + 2) * (results + 2) }

    /// The rows of tiles that have some of `rows` of the result.
    static func rows(_ results: Int, having rows: Range<Int>) -> Range<Int> {
        rows.lowerBound / results..<(rows.upperBound + results - 1) / results
    }

    /// The rows of tiles of which a patch has some of `rows` of the input.
    ///
    /// - Parameters:
    ///   - top: rows of zeros above the input.
    ///   - height: of the result.
    static func rows(_ results: Int, reading rows: Range<Int>, top: Int, height: Int) -> Range<Int> {
        // Tile t reads results t - top ..< results t - top + results + 2.
        let first = max(0, rows.lowerBound + top - 2) / results
        let end = (rows.upperBound + top + results - 1) / results
        return first..<min(end, (height + results - 1) / results)
    }
}

extension ConvolutionGeometry {
    /// Of Winograd's ways the one that suits this convolution: the side of a tile, nil where it is computed directly.
    ///
    /// It decides the bits, so it depends on the layer and the whole picture alone. Tiles of 4 save the most, but their
    /// kernels take four times the room of the plain ones, and those of the deepest levels are read once for few tiles:
    /// there tiles of 2 are as fast. docs/convolutions.md has the measurements.
    ///
    /// - Parameters:
    ///   - height: of the whole input, as `width`.
    package func tileSide(height: Int, width: Int) -> Int? {
        let few = 32
        guard kernel == 3, stride == 1, inputs >= few, outputs >= few else { return nil }
        func tiles(_ side: Int) -> Int {
            let (height, width) = (outputHeight(of: height), outputWidth(of: width))
            return ((height + side - 1) / side) * ((width + side - 1) / side)
        }
        if tiles(4) >= 16 && inputs * outputs <= Self.largestKernelOfLargeTiles { return 4 }
        return tiles(2) >= 16 ? 2 : nil
    }

    /// Inputs times outputs: of Stable Diffusion's levels the first two, and the way into the third.
    private static let largestKernelOfLargeTiles = 1920 * 640

    /// What the convolution does where it is computed in tiles; nil where it is not.
    ///
    /// - Returns: multiplications, and the numbers of the transformed kernels.
    public func tiling(height: Int, width: Int) -> (multiplications: Int, kernelValues: Int)? {
        guard let side = tileSide(height: height, width: width) else { return nil }
        func tiles(_ results: Int) -> Int { (results + side - 1) / side }
        let kernelValues = WinogradTiles.positions(side) * inputs * outputs
        let count = tiles(outputHeight(of: height)) * tiles(outputWidth(of: width))
        return (count * kernelValues, kernelValues)
    }
}
