import NeuralLayers
import TensorKernels

/// What one pass through a UNet costs, rung by rung: what a cut into stages is balanced with.
public struct LadderWork: Sendable, Equatable {
    /// A rung's two sides.
    public struct Rung: Sendable, Equatable {
        public let down: Work
        public let up: Work
        /// The shape `[h, w, channels]` of the skip, which is what goes on down the ladder too.
        public let skip: [Int]
        /// The shape of what goes on up the ladder.
        public let output: [Int]

        /// What is done in a format.
        public func done(in elementType: ElementType) -> Rung {
            Rung(down: down.done(in: elementType), up: up.done(in: elementType), skip: skip, output: output)
        }
    }

    /// From the top; the last layers count to the up side of the first.
    public let rungs: [Rung]
    public let middle: Work
    /// The two layers that make the timestep's embedding, once for a timestep.
    public let timeEmbedding: Work

    public var total: Work { rungs.reduce(middle + timeEmbedding) { $0 + $1.down + $1.up } }
}

extension UNetStage {
    /// The cost of a pass over a latent of `height` x `width` with a prompt of `tokens`.
    ///
    /// - Parameters:
    ///   - controls: nets that go down beside the UNet, whole; their layers count to the rungs that they are on.
    ///   - images: the tokens of each picture that is seen beside the prompt.
    /// - Precondition: this is the stage of all rungs.
    public func work(height: Int, width: Int, tokens: Int, controls: [ControlStage] = [], images: [Int] = [])
        -> LadderWork
    {
        guard let middle, let head else { preconditionFailure("stage \(rungs) is not the whole network") }
        let counter = Counter(tokens: tokens, images: images, projectsLinearly: configuration.usesLinearProjection)
        // Nets see the prompt alone.
        let ofNets = Counter(tokens: tokens, images: [], projectsLinearly: configuration.usesLinearProjection)
        var size = (height: height, width: width)
        // The size of each skip, and so of the hidden state that its up unit takes.
        var sizes: [(height: Int, width: Int)] = []
        var downs: [Work] = []
        for (index, rung) in units.enumerated() {
            let above = size
            if case .downsample(let downsampler) = rung.down {
                size = (downsampler.output(of: size.height), downsampler.output(of: size.width))
            }
            sizes.append(size)
            downs.append(
                controls.reduce(counter.work(of: rung.down, above)) { work, control in
                    let unit = control.units[index]
                    return work + ofNets.work(of: unit.down, above)
                        + unit.output.work(rows: size.height * size.width)
                })
        }
        let levels = configuration.levelsOfRungs
        let pairs = units.indices.map { index in
            var up = counter.work(of: units[index].up, sizes[index], next: index > 0 ? sizes[index - 1] : nil)
            if index == 0 { up += counter.work(of: head, sizes[index]) }
            let size = sizes[index]
            let above = sizes[max(0, index - 1)]
            let level = levels[index]
            return LadderWork.Rung(
                down: downs[index], up: up,
                skip: [size.height, size.width, configuration.blockChannels[level.down]],
                output: [
                    above.height, above.width,
                    index == 0 ? configuration.outputChannels : configuration.blockChannels[level.up],
                ])
        }
        let bottoms = controls.compactMap(\.middle).reduce(counter.work(of: middle, size)) { work, bottom in
            work + ofNets.work(of: bottom.middle, size) + bottom.output.work(rows: size.height * size.width)
        }
        return LadderWork(
            rungs: pairs, middle: bottoms,
            timeEmbedding: controls.reduce(timeEmbedding.work) { $0 + $1.timeEmbedding.work })
    }
}

extension UNetConfiguration {
    /// Which block's channels each rung gives down the ladder and up: those of its own block, but that a downsampler,
    /// the first rung of the next block, still has the channels of the block above.
    var levelsOfRungs: [(down: Int, up: Int)] {
        layersPerBlock.enumerated().flatMap { block, layers in
            (0...layers).map { (down: $0 == 0 ? max(0, block - 1) : block, up: block) }
        }
    }
}

private struct Counter {
    typealias Size = (height: Int, width: Int)

    let tokens: Int
    let images: [Int]
    let projectsLinearly: Bool

    func work(of unit: DownUnit, _ size: Size) -> Work {
        switch unit {
        case .input(let convolution): convolution.work(height: size.height, width: size.width)
        case .downsample(let downsampler): downsampler.work(height: size.height, width: size.width)
        case .block(let residual, let transformer): work(of: residual, transformer, size)
        }
    }

    func work(of unit: UpUnit, _ size: Size, next: Size?) -> Work {
        let blocks = work(of: unit.residual, unit.transformer, size)
        guard let upsampler = unit.upsampler, let next else { return blocks }
        return blocks + upsampler.work(height: next.height, width: next.width)
    }

    func work(of middle: Middle, _ size: Size) -> Work {
        work(of: middle.first, middle.transformer, size) + work(of: middle.second, nil, size)
    }

    func work(of head: Head, _ size: Size) -> Work {
        head.norm.work(positions: size.height * size.width)
            + head.convolution.work(height: size.height, width: size.width)
    }

    func work(of residual: ResidualBlock, _ transformer: SpatialTransformer?, _ size: Size) -> Work {
        let attention = transformer?.work(
            height: size.height, width: size.width, tokens: tokens, images: images,
            projectsLinearly: projectsLinearly)
        return residual.work(height: size.height, width: size.width) + (attention ?? Work())
    }
}
