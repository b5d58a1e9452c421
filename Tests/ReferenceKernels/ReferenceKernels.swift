import Foundation
import TensorKernels

/// The operations of the networks as their definitions read, one element at a time in float64.
extension DoubleTensor {
    /// x W^T + b; weight `[outputs, inputs]`.
    public func linear(_ weight: DoubleTensor, _ bias: DoubleTensor?) -> DoubleTensor {
        let outputs = weight.shape[0]
        var y = DoubleTensor(zeros: shape.dropLast() + [outputs])
        for row in 0..<rows {
            for output in 0..<outputs {
                var sum = bias?.values[output] ?? 0
                for input in 0..<columns {
                    sum += values[row * columns + input] * weight.values[output * columns + input]
                }
                y.values[row * outputs + output] = sum
            }
        }
        return y
    }

    public func groupNorm(groups: Int, _ weight: DoubleTensor, _ bias: DoubleTensor, epsilon: Double) -> DoubleTensor {
        let perGroup = columns / groups
        var y = self
        for group in 0..<groups {
            let places = (0..<rows).flatMap { row in (0..<perGroup).map { row * columns + group * perGroup + $0 } }
            normalize(places, epsilon: epsilon, into: &y)
        }
        return y.scaled(weight, bias)
    }

    public func layerNorm(_ weight: DoubleTensor, _ bias: DoubleTensor, epsilon: Double) -> DoubleTensor {
        var y = self
        for row in 0..<rows {
            normalize(Array(row * columns..<(row + 1) * columns), epsilon: epsilon, into: &y)
        }
        return y.scaled(weight, bias)
    }

    private func normalize(_ places: [Int], epsilon: Double, into y: inout DoubleTensor) {
        let mean = places.reduce(0) { $0 + values[$1] } / Double(places.count)
        let variance = places.reduce(0) { $0 + (values[$1] - mean) * (values[$1] - mean) } / Double(places.count)
        for place in places { y.values[place] = (values[place] - mean) / (variance + epsilon).squareRoot() }
    }

    private func scaled(_ weight: DoubleTensor, _ bias: DoubleTensor) -> DoubleTensor {
        var y = self
        for place in values.indices {
            y.values[place] = values[place] * weight.values[place % columns] + bias.values[place % columns]
        }
        return y
    }

    public var silu: DoubleTensor { map { $0 / (1 + exp(-$0)) } }
    public var gelu: DoubleTensor { map { $0 * 0.5 * erfc(-$0 / 2.squareRoot()) } }
    public var quickGELU: DoubleTensor { map { $0 / (1 + exp(-1.702 * $0)) } }

    /// The first half of each row times GELU of the second.
    public var gatedGELU: DoubleTensor {
        let half = columns / 2
        let (value, gate) = (channels(0..<half), channels(half..<columns).gelu)
        return DoubleTensor(zip(value.values, gate.values).map { $0 * $1 }, shape: value.shape)
    }

    public func channels(_ range: Range<Int>) -> DoubleTensor {
        DoubleTensor(
            (0..<rows).flatMap { values[$0 * columns + range.lowerBound..<$0 * columns + range.upperBound] },
            shape: shape.dropLast() + [range.count])
    }

    public func concatenatingChannels(_ other: DoubleTensor) -> DoubleTensor {
        var both: [Double] = []
        for row in 0..<rows {
            both += values[row * columns..<(row + 1) * columns]
            both += other.values[row * other.columns..<(row + 1) * other.columns]
        }
        return DoubleTensor(both, shape: shape.dropLast() + [columns + other.columns])
    }

    /// Output (y, x) of `[h, w, c]` takes input (floor(y h / height), floor(x w / width)).
    public func resizedNearest(height: Int, width: Int) -> DoubleTensor {
        var result = DoubleTensor(zeros: [height, width, columns])
        for y in 0..<height {
            for x in 0..<width {
                let sourceY = Int((Double(y) * Double(shape[0]) / Double(height)).rounded(.down))
                let sourceX = Int((Double(x) * Double(shape[1]) / Double(width)).rounded(.down))
                for channel in 0..<columns {
                    result.values[(y * width + x) * columns + channel] =
                        values[(sourceY * shape[1] + sourceX) * columns + channel]
                }
            }
        }
        return result
    }
}

/// A convolution of `[h, w, inputs]` pictures, square kernel and stride, zeros around them.
public struct ReferenceConvolution: Sendable {
    /// `[outputs, inputs, k, k]`
    public let weight: DoubleTensor
    public let stride: Int
    public let padding: ConvolutionGeometry.Padding

    public init(_ weight: DoubleTensor, stride: Int = 1, padding: ConvolutionGeometry.Padding) {
        self.weight = weight
        self.stride = stride
        self.padding = padding
    }

    /// Calls `body` with output place, input place and weight place of every product in the sums.
    private func forEachProduct(height: Int, width: Int, _ body: (Int, Int, Int) -> Void) {
        let (outputs, inputs, kernel) = (weight.shape[0], weight.shape[1], weight.shape[2])
        let (outputHeight, outputWidth) = size(height: height, width: width)
        for y in 0..<outputHeight {
            for x in 0..<outputWidth {
                for ky in 0..<kernel {
                    for kx in 0..<kernel {
                        let (sourceY, sourceX) = (y * stride + ky - padding.top, x * stride + kx - padding.left)
                        guard (0..<height).contains(sourceY), (0..<width).contains(sourceX) else { continue }
                        for output in 0..<outputs {
                            for input in 0..<inputs {
                                body(
                                    (y * outputWidth + x) * outputs + output,
                                    (sourceY * width + sourceX) * inputs + input,
                                    ((output * inputs + input) * kernel + ky) * kernel + kx)
                            }
                        }
                    }
                }
            }
        }
    }

    private func size(height: Int, width: Int) -> (height: Int, width: Int) {
        let kernel = weight.shape[2]
        return (
            (height + padding.top + padding.bottom - kernel) / stride + 1,
            (width + padding.left + padding.right - kernel) / stride + 1
        )
    }

    public func callAsFunction(_ x: DoubleTensor, _ bias: DoubleTensor?) -> DoubleTensor {
        let outputs = weight.shape[0]
        let (height, width) = size(height: x.shape[0], width: x.shape[1])
        var y = DoubleTensor(zeros: [height, width, outputs])
        if let bias { for place in y.values.indices { y.values[place] = bias.values[place % outputs] } }
        forEachProduct(height: x.shape[0], width: x.shape[1]) { to, from, tap in
            y.values[to] += x.values[from] * weight.values[tap]
        }
        return y
    }

    /// The transpose of the linear map: the same products, the other way.
    public func gradient(_ dy: DoubleTensor, height: Int, width: Int) -> DoubleTensor {
        var dx = DoubleTensor(zeros: [height, width, weight.shape[1]])
        forEachProduct(height: height, width: width) { to, from, tap in
            dx.values[from] += dy.values[to] * weight.values[tap]
        }
        return dx
    }
}
