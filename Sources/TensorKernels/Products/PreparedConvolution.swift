import Synchronization

/// A convolution with its weights, ready for windows of any picture.
public final class PreparedConvolution: Sendable {
    public let geometry: ConvolutionGeometry
    private let weight: Weight
    private let kernels = Mutex<[Key: any ConvolutionKernel]>([:])

    private struct Key: Hashable {
        let backend: BackendName
        let geometry: ConvolutionGeometry
    }

    /// - Parameter weight: `[outputs, inputs, k, k]`.
    public init(_ geometry: ConvolutionGeometry, weight: Weight) {
        self.geometry = geometry
        self.weight = weight
    }

    /// This rank's rows of the result, `[rows, columns, outputs]`.
    ///
    /// - Parameter x: with the rows of `window`, of the context's element type.
    public func forward(
        _ x: Tensor, through window: StripWindow, bias: [Float]?, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        switch window.way {
        case .direct(let geometry):
            return try kernel(geometry, in: context).forward(x, bias: bias, as: type, in: context)
        case .tiled(let tiles):
            var y = TensorDraft(
                uninitialized: [window.rows.count, window.width, geometry.outputs], as: type, in: context)
            try tiled.forward(x, tiles, through: window, bias: bias, into: &y, adding: false, in: context)
            return y.finished()
        }
    }

    /// The same, added to `sum`, which has any element type.
    public func forward(
        _ x: Tensor, through window: StripWindow, bias: [Float]?, addingTo sum: inout TensorDraft,
        in context: ComputeContext
    ) throws {
        switch window.way {
        case .direct(let geometry):
            try kernel(geometry, in: context).forward(x, bias: bias, addingTo: &sum, in: context)
        case .tiled(let tiles):
            try tiled.forward(x, tiles, through: window, bias: bias, into: &sum, adding: true, in: context)
        }
    }

    /// This rank's rows of the input gradient, `[rows, columns, inputs]`.
    ///
    /// - Parameter dy: with the rows of `window`, of the context's element type.
    public func gradient(
        _ dy: Tensor, through window: StripGradientWindow, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        switch window.way {
        case .direct(let geometry):
            return try kernel(geometry, in: context).gradient(
                dy, height: window.rows.count, width: window.width, as: type, in: context)
        case .tiled(let tiles):
            return try tiled.gradient(dy, tiles, through: window, as: type, in: context)
        }
    }

    private var tiled: WinogradConvolution {
        WinogradConvolution(weight: weight, inputs: geometry.inputs, outputs: geometry.outputs)
    }

    /// In the layout of the backend that runs it, made when it first runs: one for a whole picture, and others for strips,
    /// which have no zeros at the side of a neighbour.
    private func kernel(_ geometry: ConvolutionGeometry, in context: ComputeContext) -> any ConvolutionKernel {
        guard context.computes else { return context.backend.convolution(geometry, weight: weight) }
        let key = Key(backend: context.backend.name, geometry: geometry)
        return kernels.withLock { kernels in
            if let kernel = kernels[key] { return kernel }
            let kernel = context.backend.convolution(geometry, weight: weight)
            kernels[key] = kernel
            return kernel
        }
    }
}
