import TensorKernels

/// A square convolution of `[h, w, inputs]` to `[h', w', outputs]`. `torch.nn.Conv2d`.
public struct Convolution2D: Layer {
    public var geometry: ConvolutionGeometry { prepared.geometry }
    private let weight: Weight
    private let bias: Weight
    private let prepared: PreparedConvolution

    /// Keys `weight` `[outputs, inputs, k, k]` and `bias`.
    public init(_ scope: ParameterScope, geometry: ConvolutionGeometry) {
        weight = scope.weight("weight", [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel])
        bias = scope.weight("bias", [geometry.outputs])
        prepared = PreparedConvolution(geometry, weight: weight)
    }

    /// Kernel 3, stride 1, one row or column of zeros on every side: the size stays.
    public static func sameSize(_ scope: ParameterScope, inputs: Int, outputs: Int) -> Convolution2D {
        Convolution2D(
            scope, geometry: ConvolutionGeometry(inputs: inputs, outputs: outputs, kernel: 3, before: 1, after: 1))
    }

    /// Which rows it reads for this rank's rows of the value, for whoever makes them at once.
    ///
    /// - Parameter x: this rank's rows of the input.
    public func window(of x: Tensor, in context: ComputeContext) -> StripWindow {
        StripWindow(geometry, of: x, in: context)
    }

    /// The same for an input of `height` x `width` in all.
    func window(height: Int, width: Int, in context: ComputeContext) -> StripWindow {
        StripWindow(geometry, height: height, width: width, in: context)
    }

    /// In float32, as the sums have it that run from block to block.
    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let window = window(of: x, in: context)
        return try self(window.input(x.converted(in: context), in: context), through: window, in: context)
    }

    /// The same of an input that has the rows of `window`.
    public func callAsFunction(
        _ input: Tensor, through window: StripWindow, in context: ComputeContext
    ) throws -> Tensor {
        try prepared.forward(
            input.converted(in: context), through: window, bias: bias.vector(), as: .float32, in: context)
    }

    /// With `shift` added to every position besides the bias, in the context's element type: the inner convolution of a
    /// residual block, which takes its time embedding so.
    ///
    /// - Parameter input: with the rows of `window`.
    public func callAsFunction(
        _ input: Tensor, through window: StripWindow, shiftedBy shift: [Float], in context: ComputeContext
    ) throws -> Tensor {
        let total = zip(bias.vector(), shift).map { $0 + $1 }
        return try prepared.forward(
            input.converted(in: context), through: window, bias: total, as: context.elementType, in: context)
    }

    /// residual + the convolution, of the residual's element type; in the residual's memory when nothing else holds it.
    ///
    /// - Parameter input: with the rows of `window`.
    public func callAsFunction(
        _ input: Tensor, through window: StripWindow, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        var y = residual.draft(in: context)
        try prepared.forward(
            input.converted(in: context), through: window, bias: bias.vector(), addingTo: &y, in: context)
        return y.finished()
    }

    /// The same of this rank's rows of the input.
    public func callAsFunction(
        _ x: Tensor, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        let window = window(of: x, in: context)
        return try self(
            window.input(x.converted(in: context), in: context), through: window, addedTo: residual, in: context)
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        let (height, width) = (context.cut(of: x).height, x.shape[1])
        return (
            try self(x, in: context),
            { dy in try gradient(dy, height: height, width: width, as: .float32, in: context) }
        )
    }

    /// dx `[height, width, inputs]`, or this rank's rows of it.
    ///
    /// - Parameter height: of the whole input.
    public func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        let window = StripGradientWindow(geometry, height: height, width: width, of: dy, in: context)
        return try prepared.gradient(
            window.input(dy.converted(in: context), in: context), through: window, as: type, in: context)
    }

    /// For an input of `height` x `width`.
    public func work(height: Int, width: Int) -> Work {
        let positions = Double(geometry.outputHeight(of: height)) * Double(geometry.outputWidth(of: width))
        let inputs = Double(height) * Double(width) * Double(geometry.inputs)
        return Work(
            convolutions: 2 * positions * Double(weight.count), parameters: weight.count + bias.count,
            kernelParameters: weight.count, largestKernel: weight.count,
            widestLayer: inputs + positions * Double(geometry.outputs), exchanges: 1,
            borderElements: Double((geometry.kernel - 1) / 2 * width * geometry.inputs),
            tiles: tiles(height: height, width: width, as: .float32),
            bfloat16Tiles: tiles(height: height, width: width, as: .bfloat16))
    }

    private func tiles(height: Int, width: Int, as type: ElementType) -> Work.Tiles {
        guard let tiling = geometry.tiling(height: height, width: width, as: type) else { return Work.Tiles() }
        // Carrying numbers to the tiles and back takes a fifth of the products' time.
        let transforms = 1.2
        return Work.Tiles(
            counted: 2 * Double(geometry.outputHeight(of: height) * geometry.outputWidth(of: width) * weight.count),
            done: 2 * transforms * Double(tiling.multiplications), kernelParameters: weight.count,
            kernelValues: tiling.kernelValues)
    }
}
