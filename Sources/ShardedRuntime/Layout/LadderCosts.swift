import DiffusionModels
import NeuralLayers
import TensorKernels

/// What each part of a model's work costs at one size of picture, counted from shapes before anything runs: what
/// layouts are chosen by and time is predicted with.
public struct LadderCosts: Sendable, Equatable {
    /// The networks around the UNet, for one picture.
    public struct Pictures: Sendable, Equatable {
        /// Both prompts.
        public let embed: Work
        /// The photograph, and for some UNets the masked one, too; and what T2I-Adapters and IP-Adapters see.
        public let encode: Work
        public let decode: Work
        /// In how many bits each is computed.
        let bits: [PictureWork: Int]

        /// Both prompts are embedded, the photograph encoded and the result decoded.
        public func work(of work: PictureWork) -> Work {
            switch work {
            case .embed: embed
            case .encode: encode
            case .decode: decode
            // It is counted with what is encoded, as which it goes before the first step.
            case .adapt, .see: Work()
            }
        }

        /// All that a picture asks for beside the UNet.
        public var total: Work { embed + encode + decode }
        /// Parameters of the text encoder, and of the autoencoder.
        public var textParameters: Int { embed.parameters }
        public var autoencoderParameters: Int { encode.parameters + decode.parameters }
    }

    /// From the top; the middle is beside them, and belongs to the last.
    public let rungs: [LadderWork.Rung]
    public let middle: Work
    public let timeEmbedding: Work
    public let pictures: Pictures
    /// How many hidden states go down the ladder side by side: the UNet's and one of each ControlNet.
    public let lanes: Int
    /// Of the UNet.
    public let elementType: ElementType
    /// Elements of the latent `[channels, h, w]`.
    public let latentElements: Int
    /// The latent's sides.
    let latentHeight: Int
    let latentWidth: Int
    /// Elements of one prompt's states `[tokens, width]`.
    public let promptElements: Int
    /// Elements of the picture `[3, H, W]`.
    public let pictureElements: Int

    /// - Parameters:
    ///   - latent: the size at which the UNet works.
    ///   - tokens: of a prompt.
    ///   - controls: nets that go down beside the UNet.
    ///   - adapters: T2I-Adapters that a picture has.
    ///   - images: its IP-Adapters.
    ///   - imageEncoder: theirs.
    public init(
        unet: UNetConfiguration, autoencoder: VAEConfiguration, textEncoder: TextEncoderConfiguration,
        latent: (height: Int, width: Int), tokens: Int, elementType: ElementType,
        controls: [ControlNetConfiguration] = [], adapters: [T2IAdapterConfiguration] = [],
        images: [IPAdapterConfiguration] = [], imageEncoder: ImageEncoderConfiguration? = nil
    ) {
        let ladder = UNetStage(unet, weights: RecordingWeights())
            .work(
                height: latent.height, width: latent.width, tokens: tokens,
                controls: controls.map { ControlStage($0, weights: RecordingWeights()) },
                images: imageEncoder.map { encoder in images.map { $0.tokens(of: encoder) } } ?? [])
        lanes = 1 + controls.count
        rungs = ladder.rungs.map { $0.done(in: elementType) }
        middle = ladder.middle.done(in: elementType)
        timeEmbedding = ladder.timeEmbedding
        pictures = Pictures(
            autoencoder, textEncoder, latent: latent, tokens: tokens, encodings: unet.takesMaskedImage ? 2 : 1,
            adapters: adapters, imageEncoder: imageEncoder,
            shownPictures: images.reduce(0) { $0 + $1.picturesSeen })
        self.elementType = elementType
        latentHeight = latent.height
        latentWidth = latent.width
        latentElements = unet.outputChannels * latent.height * latent.width
        promptElements = tokens * textEncoder.hiddenSize
        let factor = autoencoder.downsamplingFactor
        pictureElements = VAEConfiguration.imageChannels * latent.height * factor * latent.width * factor
    }

    public var rungCount: Int { rungs.count }
    /// In how many tasks a picture is embedded, encoded and decoded.
    package var pictureTasks: Int { GuidanceBranch.allCases.count - 1 + pictures.bits.values.reduce(0, +) }
    /// Of one pass of the whole UNet.
    public var total: Work { work(of: 0..<rungCount) + timeEmbedding }

    /// Of both sides of a stage, with the middle if it is the last.
    public func work(of stage: Range<Int>) -> Work {
        work(of: .down, on: stage) + (isLast(stage) ? Work() : work(of: .up, on: stage))
    }

    /// Of one task. On the last stage a leg down goes on up, and has the middle in between.
    public func work(of leg: Leg, on stage: Range<Int>) -> Work {
        let below = isLast(stage) ? middle : Work()
        let down = sum(stage) { $0.down }
        let up = sum(stage) { $0.up }
        switch leg {
        case .down: return isLast(stage) ? down + below + up : down
        case .up: return isLast(stage) ? Work() : up
        case .upGradient: return (isLast(stage) ? down + below + up : up).ofGradient
        case .downGradient: return isLast(stage) ? Work() : down.ofGradient
        }
    }

    /// Of one side of one rung, the middle with the way down to the last.
    func work(ofRung rung: Int, isUp: Bool, isGradient: Bool) -> Work {
        let side = isUp ? rungs[rung].up : rungs[rung].down
        let work = !isUp && rung == rungCount - 1 ? side + middle : side
        return isGradient ? work.ofGradient : work
    }

    /// Bytes of the hidden state, or its gradient, that a leg's result is on its way out of `stage`; a latent's where it
    /// leaves the ladder. Hidden states are sums, so float32 in any format.
    public func messageBytes(of leg: Leg, from stage: Range<Int>) -> Int {
        let goesDown = (leg == .down || leg == .upGradient) && !isLast(stage)
        guard goesDown || stage.lowerBound > 0 else { return latentBytes }
        let float = MemoryLayout<Float>.size
        func bytes(ofSkip rung: Int) -> Int { rungs[rung].skip.reduce(float * lanes, *) }
        func bytes(ofOutput rung: Int) -> Int { rungs[rung].output.reduce(float, *) }
        if goesDown { return leg == .down ? bytes(ofSkip: stage.upperBound - 1) : bytes(ofOutput: stage.upperBound) }
        return leg.isGradient ? bytes(ofSkip: stage.lowerBound - 1) : bytes(ofOutput: stage.lowerBound)
    }

    /// Of a latent, or a noise, on its way between driver and ladder.
    public var latentBytes: Int { latentElements * MemoryLayout<Float>.size }

    func isLast(_ stage: Range<Int>) -> Bool { stage.upperBound == rungCount }

    private func sum(_ stage: Range<Int>, _ side: (LadderWork.Rung) -> Work) -> Work {
        rungs[stage].reduce(Work()) { $0 + side($1) }
    }
}

extension LadderCosts.Pictures {
    init(
        _ autoencoder: VAEConfiguration, _ textEncoder: TextEncoderConfiguration,
        latent: (height: Int, width: Int), tokens: Int, encodings: Int, adapters: [T2IAdapterConfiguration],
        imageEncoder: ImageEncoderConfiguration?, shownPictures: Int
    ) {
        let factor = autoencoder.downsamplingFactor
        let (height, width) = (latent.height * factor, latent.width * factor)
        let networks = Autoencoder(autoencoder, weights: RecordingWeights())
        let photographs = networks.encodingWork(height: height, width: width).repeated(encodings)
        let maps = adapters.reduce(photographs) {
            $0 + T2IAdapter($1, weights: RecordingWeights()).work(height: height, width: width)
        }
        encode = maps + (imageEncoder?.work.repeated(shownPictures) ?? Work())
        decode = networks.decodingWork(height: height, width: width)
        embed = textEncoder.work(tokens: GuidanceBranch.allCases.count * tokens, of: tokens)
        // Convolution in, middle, norm and convolution out; then a bit for each block and each change of size.
        let levels = autoencoder.blockChannels.count
        let fixed = 4 + (autoencoder.hasMiddleAttention ? 1 : 0) + levels - 1
        let encoding = fixed + levels * autoencoder.layersPerBlock + (autoencoder.usesQuantConvolution ? 1 : 0)
        bits = [
            .embed: 1,
            .encode: encodings * encoding + adapters.reduce(0) { $0 + $1.channels.count }
                + shownPictures * (imageEncoder?.layerCount ?? 0),
            .adapt: 0, .see: 0,
            .decode: fixed + levels * (autoencoder.layersPerBlock + 1)
                + (autoencoder.usesPostQuantConvolution ? 1 : 0),
        ]
    }
}

extension TextEncoderConfiguration {
    /// - Parameters:
    ///   - tokens: of all prompts.
    ///   - length: of one of them, which is what attention sees.
    fileprivate func work(tokens: Int, of length: Int) -> Work {
        let weights = RecordingWeights()
        _ = TextEncoder(self, weights: weights)
        let (rows, width) = (Double(tokens), Double(hiddenSize))
        let inner = Double(intermediateSize)
        let linear = 2 * rows * (4 * width * width + 2 * width * inner)
        return Work(
            linear: Double(layerCount) * linear,
            attention: Double(layerCount) * 4 * rows * Double(length) * width, parameters: weights.parameterCount,
            widestLayer: rows * (width + inner))
    }
}

extension Work {
    /// What the same layers compute for so many inputs, one after the other.
    fileprivate func repeated(_ times: Int) -> Work {
        var work = self
        work.convolutions *= Double(times)
        work.tiles.counted *= Double(times)
        work.tiles.done *= Double(times)
        work.linear *= Double(times)
        work.attention *= Double(times)
        work.exchanges *= times
        work.borderElements *= Double(times)
        work.gatheredElements *= Double(times)
        work.gatheringLinear *= Double(times)
        return work
    }

    /// What the pullback of a pass of this cost computes.
    public var ofGradient: Work {
        var work = self
        work.attention = attentionGradient
        return work
    }
}
