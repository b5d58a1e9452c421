import CVectorKernels

/// Group normalisation over `[height, width, channels]`, with an optional SiLU in the same pass over memory.
///
/// y = f(weight (x - mean_g) / sqrt(var_g + epsilon) + bias), statistics over all positions of a group of channels
/// (Wu and He 2018; `torch.nn.GroupNorm`). Sums are formed over runs of positions of one row and combined from the top
/// down, so the result depends neither on the number of threads nor on how the picture is cut into strips.
///
/// y has the context's element type whatever that of x, and the gradient has that of x.
public struct GroupNormalization: Sendable {
    let groups: Int
    let epsilon: Float
    let silu: Bool

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

    /// - Parameter window: of the convolution that reads y, of which the rows beside those of x are made too: so y needs
    ///   not be copied to get them.
    /// - Throws: what the way to the other strips throws.
    public func forward(
        _ x: Tensor, weight: [Float], bias: [Float], for window: StripWindow? = nil, in context: ComputeContext
    ) throws -> (y: Tensor, statistics: Statistics) {
        let (statistics, above, below) = try statistics(
            of: x, weight: weight, bias: bias, besides: window?.needed, in: context)
        let parts = [above, x, below].compactMap { $0 }
        let rows = parts.reduce(0) { $0 + $1.shape[0] }
        var y = TensorDraft(uninitialized: [rows] + x.shape.dropFirst(), in: context)
        let target = y.elements
        var first = 0
        for part in parts {
            scaleAndShift(part, by: statistics, into: target, at: first, in: context)
            first += part.count
        }
        return (y.finished(), statistics)
    }

    private func scaleAndShift(
        _ x: Tensor, by statistics: Statistics, into target: DraftElements, at place: Int, in context: ComputeContext
    ) {
        let channels = x.columns
        context.parallel(x.rows, of: channels) { part in
            let first = part.lowerBound * channels
            context.kernels.scale_shift(
                x.kernelType, x.pointer(at: first), target.kernelType, target.pointer(at: place + first), part.count,
                channels, statistics.scale, statistics.shift, silu ? 1 : 0)
        }
    }

    /// With the rows of x that are wanted besides.
    private func statistics(
        of x: Tensor, weight: [Float], bias: [Float], besides wanted: [Range<Int>]?, in context: ComputeContext
    ) throws -> (Statistics, above: Tensor?, below: Tensor?) {
        let channels = x.columns
        let perGroup = channels / groups
        let runs = PictureRuns(of: x)
        let (moments, above, below) = try pairs(of: runs, x, besides: wanted, in: context) { positions, pairs in
            context.kernels.group_moments(
                x.kernelType, x.pointer(at: positions.lowerBound * channels), positions.count, channels, groups, pairs)
        }
        let total = Double(positions(of: x, in: context) * perGroup)
        let counts = (0..<moments.count / (2 * groups)).map { Double(runs.length(of: $0) * perGroup) }
        var means = [Double](repeating: 0, count: groups)
        var inverses = means
        for group in 0..<groups {
            var mean = 0.0
            for run in counts.indices { mean += moments[2 * (run * groups + group)] * counts[run] / total }
            // Chan, Golub and LeVeque 1979: squares about the whole mean from those about each part's mean.
            var squares = 0.0
            for run in counts.indices {
                let place = 2 * (run * groups + group)
                let offset = moments[place] - mean
                squares += moments[place + 1] + offset * offset * counts[run]
            }
            means[group] = mean
            inverses[group] = 1 / (squares / total + Double(epsilon)).squareRoot()
        }
        let scale = (0..<channels).map { Float(inverses[$0 / perGroup]) * weight[$0] }
        let shift = (0..<channels).map {
            Float(Double(bias[$0]) - means[$0 / perGroup] * inverses[$0 / perGroup] * Double(weight[$0]))
        }
        return (Statistics(scale: scale, shift: shift, means: means, inverses: inverses), above, below)
    }

    /// dx, given x and dy: with du = dy f'(u) and g = weight du,
    /// dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + epsilon), means over the group.
    ///
    /// - Throws: what the way to the other strips throws.
    public func gradient(
        _ x: Tensor, _ dy: Tensor, weight: [Float], statistics: Statistics, in context: ComputeContext
    ) throws -> Tensor {
        let channels = x.columns
        let perGroup = channels / groups
        let sums = try groupSums(x, dy, weight: weight, statistics: statistics, in: context)
        let total = Double(positions(of: x, in: context) * perGroup)
        var slope = [Float](repeating: 0, count: channels)
        var offset = slope
        for group in 0..<groups {
            let (mean, inverse) = (statistics.means[group], statistics.inverses[group])
            // Sum of g xhat, from the sums of g x and of g.
            let projection = (sums[group].gx - mean * sums[group].g) * inverse
            for channel in group * perGroup..<(group + 1) * perGroup {
                slope[channel] = Float(-inverse * inverse * projection / total)
                offset[channel] = Float(
                    -inverse * sums[group].g / total + mean * inverse * inverse * projection / total)
            }
        }
        var dx = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = dx.elements
        context.parallel(x.rows, of: channels) { part in
            let first = part.lowerBound * channels
            context.kernels.scale_shift_gradient(
                x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), target.pointer(at: first),
                part.count, channels, statistics.scale, statistics.shift, silu ? 1 : 0, statistics.scale, slope, offset)
        }
        return dx.finished()
    }

    /// The sums of g and of g x over each group.
    private func groupSums(
        _ x: Tensor, _ dy: Tensor, weight: [Float], statistics: Statistics, in context: ComputeContext
    ) throws -> [(g: Double, gx: Double)] {
        let channels = x.columns
        let perGroup = channels / groups
        let parts = try pairs(of: PictureRuns(of: x), x, besides: nil, in: context) { positions, pairs in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * channels) { sums in
                sums.initialize(repeating: 0)
                let first = positions.lowerBound * channels
                context.kernels.scale_shift_sums(
                    x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), positions.count, channels,
                    statistics.scale, statistics.shift, silu ? 1 : 0, sums.baseAddress)
                for group in 0..<groups {
                    for channel in group * perGroup..<(group + 1) * perGroup {
                        pairs[2 * group] += Double(weight[channel] * sums[channel])
                        pairs[2 * group + 1] += Double(weight[channel] * sums[channels + channel])
                    }
                }
            }
        }.numbers
        var sums = [(g: Double, gx: Double)](repeating: (0, 0), count: groups)
        for run in stride(from: 0, to: parts.count, by: 2 * groups) {
            for group in 0..<groups {
                sums[group].g += parts[run + 2 * group]
                sums[group].gx += parts[run + 2 * group + 1]
            }
        }
        return sums
    }

    /// The positions of the whole picture.
    private func positions(of x: Tensor, in context: ComputeContext) -> Int {
        context.strip(of: x).height * x.shape[1]
    }

    /// Two numbers for each group and run, computed in parallel: those of the whole picture, from the top down; and the rows
    /// of x that are wanted besides.
    ///
    /// - Parameter body: is given a run's positions, and where its numbers are, all of them 0.
    private func pairs(
        of runs: PictureRuns, _ x: Tensor, besides wanted: [Range<Int>]?, in context: ComputeContext,
        _ body: (Range<Int>, UnsafeMutablePointer<Double>) -> Void
    ) throws -> (numbers: [Double], above: Tensor?, below: Tensor?) {
        var pairs = [Double](repeating: 0, count: runs.count * 2 * groups)
        pairs.withUnsafeMutableBufferPointer { pairs in
            guard let base = pairs.baseAddress else { return }
            context.parallel(runs.count, of: runs.elements) { part in
                for run in part { body(runs.positions(of: run), base + run * 2 * groups) }
            }
        }
        return try context.inRowOrder(pairs, of: x, besides: wanted)
    }
}

/// How the positions of a picture are cut into runs: a row each, or equal parts of a long row.
private struct PictureRuns {
    /// Positions of the longest run: a few hundred kilobytes, so that a second pass reads from cache.
    private static let longest = 128

    private let width: Int
    private let perRow: Int
    /// The runs of the rows that are here.
    let count: Int
    /// Of the longest run.
    let elements: Int

    init(of x: Tensor) {
        precondition(x.shape.count == 3, "group normalisation of \(x.shape), which is no picture")
        width = x.shape[1]
        perRow = (width + Self.longest - 1) / Self.longest
        count = x.shape[0] * perRow
        elements = (width + perRow - 1) / perRow * x.columns
    }

    func positions(of run: Int) -> Range<Int> {
        let (row, part) = run.quotientAndRemainder(dividingBy: perRow)
        return row * width + width * part / perRow..<row * width + width * (part + 1) / perRow
    }

    /// Of a run of any strip.
    func length(of run: Int) -> Int { positions(of: run).count }
}

/// Layer normalisation of each row (Ba et al. 2016; `torch.nn.LayerNorm`); element types as in group normalisation.
public enum LayerNormalization {
    public static func forward(
        _ x: Tensor, weight: [Float], bias: [Float], epsilon: Float, in context: ComputeContext
    ) -> Tensor {
        var y = TensorDraft(uninitialized: x.shape, in: context)
        let target = y.elements
        let channels = x.columns
        context.parallel(x.rows, of: channels) { part in
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
        context.parallel(x.rows, of: channels) { part in
            let first = part.lowerBound * channels
            context.kernels.layer_norm_gradient(
                x.kernelType, x.pointer(at: first), dy.kernelType, dy.pointer(at: first), target.pointer(at: first),
                part.count, channels,
                weight, epsilon)
        }
        return dx.finished()
    }
}
