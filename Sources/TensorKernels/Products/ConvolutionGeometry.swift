/// What a convolution does, without its numbers. Square kernels and strides; padding per side.
public struct ConvolutionGeometry: Sendable, Hashable {
    /// Rows and columns of zeros around a picture.
    public struct Padding: Sendable, Hashable {
        public let top: Int
        public let bottom: Int
        public let left: Int
        public let right: Int

        public init(top: Int, bottom: Int, left: Int, right: Int) {
            self.top = top
            self.bottom = bottom
            self.left = left
            self.right = right
        }
    }

    public let inputs: Int
    public let outputs: Int
    public let kernel: Int
    public let stride: Int
    public let padding: Padding

    /// - Precondition: every side's padding is below the kernel's side.
    public init(inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Padding) {
        precondition(
            [padding.top, padding.bottom, padding.left, padding.right].allSatisfy { (0..<kernel).contains($0) },
            "\(padding) around a kernel of \(kernel)")
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
    }

    /// With as many rows as columns of zeros before the first and after the last.
    public init(inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, before: Int, after: Int) {
        self.init(
            inputs: inputs, outputs: outputs, kernel: kernel, stride: stride,
            padding: Padding(top: before, bottom: after, left: before, right: after))
    }

    /// The output's height for an input's.
    public func outputHeight(of height: Int) -> Int { (height + padding.top + padding.bottom - kernel) / stride + 1 }

    /// The output's width for an input's.
    public func outputWidth(of width: Int) -> Int { (width + padding.left + padding.right - kernel) / stride + 1 }

    /// The convolution whose forward pass is the input gradient of this one, when the stride is 1: kernel rotated by
    /// 180 degrees, channels swapped.
    var adjoint: ConvolutionGeometry {
        let most = kernel - 1
        return ConvolutionGeometry(
            inputs: outputs, outputs: inputs, kernel: kernel,
            padding: Padding(
                top: most - padding.top, bottom: most - padding.bottom, left: most - padding.left,
                right: most - padding.right))
    }
}
