import NeuralLayers
import ReferenceKernels
import TensorKernels
import Testing

/// Layers of convolutions, products and norms: see `check` for what is held against what.
@Suite struct LayerTests {
    private let scope = ParameterScope(RandomWeights())
    private let reference = ReferenceScope()

    @Test(arguments: [(4, 70, true), (33, 16, false), (40, 40, true)])
    func linear(inputs: Int, outputs: Int, bias: Bool) throws {
        let layer = Linear(scope["linear"], inputs: inputs, outputs: outputs, bias: bias)
        try check(layer, shape: [3, 5, inputs]) { reference["linear"].linear($0, outputs: outputs, bias: bias) }
        try check(
            shape: [7, inputs], reference: { $0 + reference["linear"].linear($0, outputs: inputs) },
            value: { x, context in
                try Linear(scope["linear"], inputs: inputs, outputs: inputs)(x, addedTo: x, in: context)
            },
            recorded: { x, context in
                let layer = Linear(scope["linear"], inputs: inputs, outputs: inputs)
                return (
                    try layer(x, addedTo: x, in: context),
                    { dy in try layer.gradient(dy, addedTo: dy, in: context) }
                )
            })
    }

    static let geometries = [
        ConvolutionGeometry(inputs: 5, outputs: 18, kernel: 3, before: 1, after: 1),
        ConvolutionGeometry(inputs: 16, outputs: 7, kernel: 1, before: 0, after: 0),
        ConvolutionGeometry(inputs: 9, outputs: 16, kernel: 3, stride: 2, before: 1, after: 1),
        ConvolutionGeometry(inputs: 9, outputs: 16, kernel: 3, stride: 2, before: 0, after: 1),
    ]

    @Test(arguments: geometries, [(7, 10), (8, 5)])
    func convolution(geometry: ConvolutionGeometry, size: (Int, Int)) throws {
        let layer = Convolution2D(scope["conv"], geometry: geometry)
        try check(layer, shape: [size.0, size.1, geometry.inputs]) { reference["conv"].convolution($0, geometry) }
    }

    @Test(arguments: [false, true])
    func groupNorm(silu: Bool) throws {
        let layer = GroupNorm(scope["norm"], channels: 24, groups: 4, epsilon: 1e-5, silu: silu)
        try check(layer, shape: [13, 11, 24]) {
            let y = reference["norm"].groupNorm($0, groups: 4, epsilon: 1e-5)
            return silu ? y.silu : y
        }
    }

    @Test func layerNorm() throws {
        try check(LayerNorm(scope["norm"], channels: 40), shape: [9, 40]) { reference["norm"].layerNorm($0) }
    }

    @Test(arguments: [false, true], [(8, 10), (7, 9)])
    func downsampler(asymmetric: Bool, size: (Int, Int)) throws {
        let layer = Downsampler(scope["down"], channels: 12, asymmetric: asymmetric)
        let geometry = ConvolutionGeometry(
            inputs: 12, outputs: 12, kernel: 3, stride: 2, before: asymmetric ? 0 : 1, after: 1)
        try check(layer, shape: [size.0, size.1, 12]) { reference["down.conv"].convolution($0, geometry) }
    }

    @Test(arguments: [(8, 10), (7, 9), (8, 9), (11, 6)])
    func upsampler(height: Int, width: Int) throws {
        let layer = Upsampler(scope["up"], channels: 12)
        try check(
            shape: [4, 5, 12],
            reference: {
                reference["up.conv"].sameSize($0.resizedNearest(height: height, width: width), outputs: 12)
            }, value: { try layer($0, height: height, width: width, in: $1) },
            recorded: { try layer.withPullback($0, height: height, width: width, in: $1) })
    }

    @Test(arguments: [8, 20], [false, true])
    func residualBlock(outputs: Int, timed: Bool) throws {
        let layer = ResidualBlock(
            scope["block"], inputs: 8, outputs: outputs, timeWidth: timed ? 32 : nil, groups: 4, epsilon: 1e-5)
        let time = DoubleTensor(normal: [1, 32], seed: 1)
        func memory(_ context: ComputeContext) -> TimeMemory? {
            timed ? TimeMemory(activated: time.tensor(in: context)) : nil
        }
        try check(
            shape: [6, 7, 8],
            reference: { reference["block"].residualBlock($0, outputs: outputs, time: timed ? time : nil, groups: 4) },
            value: { try layer($0, time: memory($1), in: $1) },
            recorded: { try layer.withPullback($0, time: memory($1), in: $1) })
    }
}
