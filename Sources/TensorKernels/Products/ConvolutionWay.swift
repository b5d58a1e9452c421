/// How a convolution, or its gradient, is computed.
public enum ConvolutionWay: Sendable, Hashable {
    /// With the zeros that this strip has on each side.
    case direct(ConvolutionGeometry)
    case tiled(WinogradTiles)

    /// The side of tiles where a convolution is computed by Winograd: not by OpenBLAS, which is there to compare with.
    package static func tileSide(
        _ geometry: ConvolutionGeometry, height: Int, width: Int, in context: ComputeContext
    ) -> Int? {
        guard context.backend.name == .oneDNN else { return nil }
        return geometry.tileSide(height: height, width: width, as: context.elementType)
    }
}
