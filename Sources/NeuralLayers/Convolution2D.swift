import Synchronization
import TensorKernels

/// A square convolution of `[h, w, inputs]` to `[h', w', outputs]`. `torch.nn.Conv2d`.
public struct Convolution2D: Layer {
    public let geometry: ConvolutionGeometry
    private let weight: Weight
    private let bias: Weight
    private let prepared: PreparedKernels

    /// Keys `weight` `[outputs, inputs, k, k]` and `bias`.
    public init(_ scope: ParameterScope, geometry: ConvolutionGeometry) {
        self.geometry = geometry
        weight = scope.weight("weight", [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel])
        bias = scope.weight("bias", [geometry.outputs])
        prepared = PreparedKernels()
    }

    /// Kernel 3, stride 1, one row or column of zeros on every side: the size stays.
    public static func sameSize(_ scope: ParameterScope, inputs: Int, outputs: Int) -> Convolution2D {
        Convolution2D(
            scope, geometry: ConvolutionGeometry(inputs: inputs, outputs: outputs, kernel: 3, before: 1, after: 1))
    }

    /// In float32, as the sums have it that run from block to block.
    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        try kernel(in: context).forward(x.converted(in: context), bias: bias.vector(), as: .float32, in: context)
    }

    /// With `shift` added to every position besides the bias, in the context's element type: the inner convolution of a
    /// residual block, which takes its time embedding so.
    public func callAsFunction(_ x: Tensor, shiftedBy shift: [Float], in context: ComputeContext) throws -> Tensor {
        let total = zip(bias.vector(), shift).map { $0 + $1 }
        return try kernel(in: context).forward(
            x.converted(in: context), bias: total, as: context.elementType, in: context)
    }

    /// residual + the convolution, of the residual's element type; in the residual's memory when nothing else holds it.
    public func callAsFunction(
        _ x: Tensor, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        var y = residual.draft(in: context)
        try kernel(in: context).forward(x.converted(in: context), bias: bias.vector(), addingTo: &y, in: context)
        return y.finished()
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        let (height, width) = (x.shape[0], x.shape[1])
        return (
            try self(x, in: context),
            { dy in try gradient(dy, height: height, width: width, as: .float32, in: context) }
        )
    }

    /// dx `[height, width, inputs]`.
    public func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        try kernel(in: context).gradient(
            dy.converted(in: context), height: height, width: width, as: type, in: context)
    }

    /// For an input of `height` x `width`.
    public func work(height: Int, width: Int) -> Work {
        let positions = Double(geometry.outputHeight(of: height)) * Double(geometry.outputWidth(of: width))
        let inputs = Double(height) * Double(width) * Double(geometry.inputs)
        return Work(
            convolutions: 2 * positions * Double(weight.count), parameters: weight.count + bias.count,
            kernelParameters: weight.count, largestKernel: weight.count,
            widestLayer: inputs + positions * Double(geometry.outputs))
    }

    private func kernel(in context: ComputeContext) -> any ConvolutionKernel {
        prepared.kernel(for: context) { context.backend.convolution(geometry, weight: weight) }
    }
}

/// The layer's kernel in the layout of the backend that runs it, made when it first runs.
private final class PreparedKernels: Sendable {
    private let kernels = Mutex<[BackendName: any ConvolutionKernel]>([:])

    func kernel(for context: ComputeContext, make: () -> any ConvolutionKernel) -> any ConvolutionKernel {
        kernels.withLock { kernels in
            if let kernel = kernels[context.backend.name] { return kernel }
            let kernel = make()
            kernels[context.backend.name] = kernel
            return kernel
        }
    }
}
