import DiffusionModels
import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Whole networks in strips, forward and back, have the bits of one rank.
@Suite struct NetworkStripTests {
    /// How often the fixtures' networks halve a picture, at most.
    private static let halvings = 3

    @Test(
        arguments: ModelFixture.names,
        [(2, ElementType.float32), (3, .float32), (5, .float32), (8, .float32), (2, .bfloat16), (4, .bfloat16)])
    func unet(model: String, kind: (strips: Int, type: ElementType)) throws {
        let whole = try UNetCase(model, in: ComputeContext(threads: 1, elementType: kind.type)).evaluations()
        let size = try UNetCase.size(model)
        let grid = StripGrid(height: size.height, width: size.width, halvings: Self.halvings, strips: kind.strips)
        let strips = try StripsOnThreads(grid, delays: true)(
            context: { try ComputeContext(threads: 1, elementType: kind.type) }
        ) { context in
            try UNetCase(model, in: context).evaluations()
        }
        let isShared = grid.cut(width: size.width, rows: size.height).isShared
        for (index, expected) in whole.enumerated() {
            let parts = isShared ? [strips[0][index]] : strips.map { $0[index] }
            #expect(parts.flatMap(\.noise) == expected.noise, "\(expected.name)")
            #expect(parts.flatMap(\.gradient) == expected.gradient, "\(expected.name)")
        }
    }

    @Test(arguments: try ControlCase.all(), [2, 3])
    func controlNets(test: ControlCase, strips: Int) throws {
        let count = try ModelFixture(test.model).folder.unetConfiguration().rungCount
        let cut = [0..<2, 2..<count]
        let whole = try test.evaluated(cut: cut, in: ComputeContext(threads: 1))
        let size = try UNetCase.size(test.model)
        let grid = StripGrid(height: size.height, width: size.width, halvings: Self.halvings, strips: strips)
        let all = try StripsOnThreads(grid)(context: { try ComputeContext(threads: 1) }) {
            try test.evaluated(cut: cut, in: $0)
        }
        for strip in all {
            #expect(strip.noise == whole.noise && strip.gradient == whole.gradient, "\(test.name)")
        }
    }

    @Test(arguments: ModelFixture.names, [2, 3, 4])
    func autoencoder(model: String, strips: Int) throws {
        let fixture = try ModelFixture(model)
        let (shape, image) = try fixture.tensor("vae.encode.image")
        let (latentShape, latentValues) = try fixture.tensor("vae.decode.latent")
        let latent = Latent(
            channels: latentShape[0], height: latentShape[1], width: latentShape[2], values: latentValues)
        @Sendable func run(_ encoding: ComputeContext, _ decoding: ComputeContext) throws -> (Latent, [Float]) {
            let autoencoder = try fixture.network(.vae) {
                Autoencoder(try fixture.folder.vaeConfiguration(), weights: $0)
            }
            return (
                try autoencoder.encode(image, height: shape[1], width: shape[2], in: encoding),
                try autoencoder.decode(latent, in: decoding)
            )
        }
        let context = try ComputeContext(threads: 1)
        let whole = try run(context, context)
        let factor = try fixture.folder.vaeConfiguration().downsamplingFactor
        for (height, width) in [(shape[1], shape[2]), (latent.height * factor, latent.width * factor)] {
            let grid = StripGrid(height: height, width: width, halvings: Self.halvings, strips: strips)
            let isEncoding = height == shape[1] && width == shape[2]
            let all = try StripsOnThreads(grid)(context: { try ComputeContext(threads: 1) }) { cut in
                let context = try ComputeContext(threads: 1)
                return try run(
                    isEncoding ? cut : context,
                    height == latent.height * factor && width == latent.width * factor ? cut : context)
            }
            for strip in all { #expect(strip.0 == whole.0 && strip.1 == whole.1, "\(height) x \(width)") }
        }
    }
}
