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
        try context.measured(.convolution, operations: operations(window.way, rows: window.rows.count, window.width)) {
            try run(x, through: window, bias: bias, as: type, in: context)
        }
    }

    private func run(
        _ x: Tensor, through window: StripWindow, bias: [Float]?, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        switch window.way {
        case .direct(let geometry):
            let y = try kernel(geometry, in: context).forward(x, bias: bias, as: type, in: context)
            return window.computesAll ? y.rows(window.rows, in: context) : y
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
        try context.measured(.convolution, operations: operations(window.way, rows: window.rows.count, window.width)) {
            switch window.way {
            case .direct(let geometry):
                try add(kernel(geometry, in: context), x, through: window, bias: bias, to: &sum, in: context)
            case .tiled(let tiles):
                try tiled.forward(x, tiles, through: window, bias: bias, into: &sum, adding: true, in: context)
            }
        }
    }

    private func add(
        _ kernel: any ConvolutionKernel, _ x: Tensor, through window: StripWindow, bias: [Float]?,
        to sum: inout TensorDraft, in context: ComputeContext
    ) throws {
        guard window.computesAll else {
            return try kernel.forward(x, bias: bias, addingTo: &sum, in: context)
        }
        let own = sum.converted(to: sum.elementType, in: context).finished()
        var all = try context.gathered(own).draft(in: context)
        try kernel.forward(x, bias: bias, addingTo: &all, in: context)
        sum.copy(all.finished().rows(window.rows, in: context), in: context)
    }

    /// This rank's rows of the input gradient, `[rows, columns, inputs]`.
    ///
    /// - Parameter dy: with the rows of `window`, of the context's element type.
    public func gradient(
        _ dy: Tensor, through window: StripGradientWindow, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        let operations = operations(window.way, rows: dy.shape[0], dy.shape[1])
        return try context.measured(.convolution, operations: operations) {
            switch window.way {
            case .direct(let geometry) where window.computesAll:
                try kernel(geometry, in: context).gradient(
                    dy, height: window.height, width: window.width, as: type, in: context
                ).rows(window.rows, in: context)
            case .direct(let geometry):
                try kernel(geometry, in: context).gradient(
                    dy, height: window.rows.count, width: window.width, as: type, in: context)
            case .tiled(let tiles):
                try tiled.gradient(dy, tiles, through: window, as: type, in: context)
            }
        }
    }

    /// Multiplications and additions of the products for so many rows of the result.
    private func operations(_ way: ConvolutionWay, rows: Int, _ columns: Int) -> Double {
        let channels = Double(geometry.inputs * geometry.outputs)
        switch way {
        case .direct: return 2 * channels * Double(rows * columns * geometry.kernel * geometry.kernel)
        case .tiled(let tiles): return 2 * channels * Double(tiles.rows.count * tiles.columns * tiles.positions)
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
