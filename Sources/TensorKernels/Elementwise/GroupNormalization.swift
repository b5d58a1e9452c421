import CVectorKernels

/// Group normalisation over `[height, width, channels]`, with an optional SiLU in the same pass over memory.
///
/// y = f(weight (x - mean_g) / sqrt(var_g + epsilon) + bias), statistics over all positions of a group of channels
/// (Wu and He 2018; `torch.nn.GroupNorm`). Sums are formed over runs of rows of fixed length and combined in order, so
/// the result does not depend on the number of threads.
///
/// y has the context's element type whatever that of x, and the gradient has that of x.
public struct GroupNormalization: Sendable {
    let groups: Int
    let epsilon: Float
    let silu: Bool

    /// Rows whose sums are formed at a time: a few hundred kilobytes, so that the second pass reads from cache.
    private static let runLength = 128

    public init(groups: Int, epsilon: Float, silu: Bool) {
        self.groups = groups
        self.epsilon = epsilon
        self.silu = silu
    }

    /// What the gradient needs beside input and weights: y = f(x scale + shift) per channel.
    public struct Statistics: Sendable {
        let scale: [Float]
        let shift: [Float]
        let means: [Double]
        let inverses: [Double]
    }

    public func forward(
        _ x: Tensor, weight: [Float], bias: [Float], in context: ComputeContext
    ) -> (y: Tensor, statistics: Statistics) {
        let statistics = statistics(of: x, weight: weight, bias: bias, in: context)
        var y = TensorDraft(uninitialized: x.shape, in: context)
        let target = y.elements
        let channels = x.columns
        context.parallel(x.rows) { part in
            let first = part.lowerBound * channels
            context.kernels.scale_shift(
                x.kernelType, x.pointer(at: first), target.kernelType, target.pointer(at: first), part.count, channels,
                statistics.scale,
                statistics.shift, silu ? 1 : 0)
        }
        return (y.finished(), statistics)
    }

    private func statistics(
        of x: Tensor, weight: [Float], bias: [Float], in context: ComputeContext
    ) -> Statistics {
        let channels = x.columns
        let perGroup = channels / groups
        let moments = perRun(of: x, width: 2 * groups, initial: 0.0, in: context) { rows, part in
            context.kernels.group_moments(
                x.kernelType, x.pointer(at: rows.lowerBound * channels), rows.count, channels, groups, part)
        }
        let total = Double(x.rows * perGroup)
        var means = [Double](repeating: 0, count: groups)
        var inverses = means
        for group in 0..<groups {
            var mean = 0.0
            for (run, part) in moments.enumerated() {
                mean += part[2 * group] * Double(rowCount(ofRun: run, of: x) * perGroup) / total
            }
            // Chan, Golub and LeVeque 1979: squares about the whole mean from those about each part's mean.
            var squares = 0.0
            for (run, part) in moments.enumerated() {
                let offset = part[2 * group] - mean
                squares += part[2 * group + 1] + offset * offset * Double(rowCount(ofRun: run, of: x) * perGroup)
            }
            means[group] = mean
            inverses[group] = 1 / (squares / total + Double(epsilon)).squareRoot()
        }
        let scale = (0..<channels).map { Float(inverses[$0 / perGroup]) * weight[$0] }
        let shift = (0..<channels).map {
            Float(Double(bias[$0]) - means[$0 / perGroup] * inverses[$0 / perGroup] * Double(weight[$0]))
        }
        return Statistics(scale: scale, shift: shift, means: means, inverses: inverses)
    }

    /// dx, given x and dy: with du = dy f'(u) and g = weight du,
    /// dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + epsilon), means over the group.
    public func gradient(
        _ x: Tensor, _ dy: Tensor, weight: [Float], statistics: Statistics, in context: ComputeContext
    ) -> Tensor {
        let channels = x.columns
        let perGroup = channels / groups
        let sums = perRun(of: x, width: 2 * channels, initial: Float(0), in: context) { rows, part in
            let first = rows.lowerBound * channels
            context.kernels.scale_shift_sums(
                x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), rows.count, channels,
                statistics.scale,
                statistics.shift, silu ? 1 : 0, part)
        }
        var first = [Double](repeating: 0, count: groups)
        var second = first
        for part in sums {
            for channel in 0..<channels {
                first[channel / perGroup] += Double(weight[channel] * part[channel])
                second[channel / perGroup] += Double(weight[channel] * part[channels + channel])
            }
        }
        let total = Double(x.rows * perGroup)
        var slope = [Float](repeating: 0, count: channels)
        var offset = slope
        for channel in 0..<channels {
            let group = channel / perGroup
            let (mean, inverse) = (statistics.means[group], statistics.inverses[group])
            // Sum of g xhat, from the sums of g x and of g.
            let projection = (second[group] - mean * first[group]) * inverse
            slope[channel] = Float(-inverse * inverse * projection / total)
            offset[channel] = Float(-inverse * first[group] / total + mean * inverse * inverse * projection / total)
        }
        var dx = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = dx.elements
        context.parallel(x.rows) { part in
            let first = part.lowerBound * channels
            context.kernels.scale_shift_gradient(
                x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), target.pointer(at: first),
                part.count, channels,
                statistics.scale, statistics.shift, silu ? 1 : 0, statistics.scale, slope, offset)
        }
        return dx.finished()
    }

    private func rowCount(ofRun run: Int, of x: Tensor) -> Int {
        min(Self.runLength, x.rows - run * Self.runLength)
    }

    /// `width` numbers for each run of rows, computed in parallel.
    private func perRun<Number: Sendable>(
        of x: Tensor, width: Int, initial: Number, in context: ComputeContext,
        _ body: (Range<Int>, UnsafeMutablePointer<Number>) -> Void
    ) -> [[Number]] {
        let runs = (x.rows + Self.runLength - 1) / Self.runLength
        var numbers = [Number](repeating: initial, count: runs * width)
        numbers.withUnsafeMutableBufferPointer { numbers in
            guard let base = numbers.baseAddress else { return }
            context.parallel(runs) { part in
                for run in part {
                    let first = run * Self.runLength
                    body(first..<first + rowCount(ofRun: run, of: x), base + run * width)
                }
            }
        }
        return (0..<runs).map { Array(numbers[$0 * width..<($0 + 1) * width]) }
    }
}

/// Layer normalisation of each row (Ba et al. 2016; `torch.nn.LayerNorm`); element types as in group normalisation.
public enum LayerNormalization {
    public static func forward(
        _ x: Tensor, weight: [Float], bias: [Float], epsilon: Float, in context: ComputeContext
    ) -> Tensor {
        var y = TensorDraft(uninitialized: x.shape, in: context)
        let target = y.elements
        let channels = x.columns
        context.parallel(x.rows) { part in
            let first = part.lowerBound * channels
            context.kernels.layer_norm(
                x.kernelType, x.pointer(at: first), target.kernelType, target.pointer(at: first), part.count, channels,
                weight,
                bias, epsilon)
        }
        return y.finished()
    }

    public static func gradient(
        _ x: Tensor, _ dy: Tensor, weight: [Float], epsilon: Float, in context: ComputeContext
    ) -> Tensor {
        var dx = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = dx.elements
        let channels = x.columns
        context.parallel(x.rows) { part in
            let first = part.lowerBound * channels
            context.kernels.layer_norm_gradient(
                x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), target.pointer(at: first),
                part.count, channels,
                weight, epsilon)
        }
        return dx.finished()
    }
}
