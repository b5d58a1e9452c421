import TensorKernels

/// Nearest-neighbour upsampling to a given size, then a convolution. diffusers' `Upsample2D`.
public struct Upsampler: Sendable {
    private let convolution: Convolution2D

    public init(_ scope: ParameterScope, channels: Int) {
        convolution = .sameSize(scope["conv"], inputs: channels, outputs: channels)
    }

    /// - Parameters:
    ///   - height: of the output, where it is not cut into strips; those of a cut size know it.
    public func callAsFunction(
        _ x: Tensor, height: Int, width: Int, in context: ComputeContext
    ) throws -> Tensor {
        let height = context.cut(width: width, height: height).height
        let window = convolution.window(height: height, width: width, in: context)
        // Converted before it grows.
        let grown = try x.converted(in: context).resizedNearest(height: height, width: width, for: window, in: context)
        return try convolution(grown, through: window, in: context)
    }

    public func withPullback(
        _ x: Tensor, height: Int, width: Int, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let height = context.cut(width: width, height: height).height
        let (h, w) = (context.cut(of: x).height, x.shape[1])
        let y = try self(x, height: height, width: width, in: context)
        return (
            y,
            { dy in
                try convolution.gradient(dy, height: height, width: width, as: .float32, in: context)
                    .resizedNearestGradient(height: h, width: w, in: context)
            }
        )
    }

    /// For an output of `height` x `width`.
    public func work(height: Int, width: Int) -> Work {
        convolution.work(height: height, width: width) + Work(exchanges: 1)
    }
}

/// A convolution of kernel 3 and stride 2. diffusers' `Downsample2D`.
public struct Downsampler: Layer {
    private let convolution: Convolution2D

    /// - Parameter asymmetric: zeros after the last row and column only, as an autoencoder has them, instead of on
    ///   both sides.
    public init(_ scope: ParameterScope, channels: Int, asymmetric: Bool = false) {
        convolution = Convolution2D(
            scope["conv"],
            geometry: ConvolutionGeometry(
                inputs: channels, outputs: channels, kernel: 3, stride: 2, before: asymmetric ? 0 : 1, after: 1))
    }

    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        try convolution(x, in: context)
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        try convolution.withPullback(x, in: context)
    }

    /// For an input of `height` x `width`.
    public func work(height: Int, width: Int) -> Work { convolution.work(height: height, width: width) }

    /// The output's side for an input's side, height or width.
    public func output(of side: Int) -> Int { convolution.geometry.outputHeight(of: side) }
}
