/// What a convolution of a strip reads: the rows of the picture that its own output rows need, and zeros only where the
/// picture ends.
public struct StripWindow: Sendable {
    /// With the zeros that this strip has above and below.
    public let geometry: ConvolutionGeometry
    /// Of every strip; nil where all is here.
    let needed: [Range<Int>]?

    /// - Parameter x: this rank's rows of the input.
    public init(_ geometry: ConvolutionGeometry, of x: Tensor, in context: ComputeContext) {
        self.init(geometry, height: context.cut(of: x).height, width: x.shape[1], in: context)
    }

    /// - Parameter height: of the whole input, as `width`.
    public init(_ geometry: ConvolutionGeometry, height: Int, width: Int, in context: ComputeContext) {
        let input = context.cut(width: width, height: height)
        let output = context.cut(
            width: geometry.outputWidth(of: width), height: geometry.outputHeight(of: height))
        guard !input.isShared || !output.isShared else {
            self.geometry = geometry
            needed = nil
            return
        }
        let windows = output.rows.map { rows in
            let first = rows.lowerBound * geometry.stride - geometry.padding.top
            return first..<(rows.count - 1) * geometry.stride + geometry.kernel + first
        }
        let needed = windows.map { $0.clamped(to: 0..<input.height) }
        let (own, inside) = (windows[context.ownStrip], needed[context.ownStrip])
        self.geometry = geometry.with(
            top: inside.lowerBound - own.lowerBound, bottom: own.upperBound - inside.upperBound)
        self.needed = needed
    }

    /// The rows that are needed, whoever has them.
    public func input(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return x }
        return try context.rows(of: x) { needed[$0] }
    }
}

/// What the input gradient of a convolution of a strip reads: the rows of the output's gradient that reach its own rows
/// of the input.
public struct StripGradientWindow: Sendable {
    /// With the padding that relates those rows to these.
    public let geometry: ConvolutionGeometry
    /// This rank's rows of the input.
    public let rows: Range<Int>
    /// Of every strip; nil where all is here.
    private let needed: [Range<Int>]?

    /// - Parameters:
    ///   - height: of the whole input, as `width`.
    ///   - dy: this rank's rows of the output's gradient.
    public init(
        _ geometry: ConvolutionGeometry, height: Int, width: Int, of dy: Tensor, in context: ComputeContext
    ) {
        let input = context.cut(width: width, height: height)
        let output = context.cut(of: dy)
        rows = input.rows[context.ownStrip]
        guard !input.isShared || !output.isShared else {
            self.geometry = geometry
            needed = nil
            return
        }
        let (stride, kernel, top) = (geometry.stride, geometry.kernel, geometry.padding.top)
        // Input row i is read by the outputs o with 0 <= i + top - o stride < kernel.
        let needed = input.rows.map { rows in
            let first = max(0, rows.lowerBound + top - kernel + stride) / stride
            let last = (rows.upperBound - 1 + top) / stride
            return (first..<max(first, last) + 1).clamped(to: 0..<output.height)
        }
        let own = needed[context.ownStrip]
        let newTop = rows.lowerBound + top - own.lowerBound * stride
        let reach = (own.count - 1) * stride + kernel
        self.geometry = geometry.with(top: newTop, bottom: max(0, reach - rows.count - newTop))
        self.needed = needed
    }

    /// The rows that are needed, whoever has them.
    public func input(_ dy: Tensor, in context: ComputeContext) throws -> Tensor {
        guard let needed else { return dy }
        return try context.rows(of: dy) { needed[$0] }
    }
}

extension ConvolutionGeometry {
    fileprivate func with(top: Int, bottom: Int) -> ConvolutionGeometry {
        ConvolutionGeometry(
            inputs: inputs, outputs: outputs, kernel: kernel, stride: stride,
            padding: Padding(top: top, bottom: bottom, left: padding.left, right: padding.right))
    }
}
