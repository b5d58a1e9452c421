/// A layer of cross-attention in a UNet.
struct CrossAttentionPlace: Equatable {
    /// As weights name it.
    let path: String
    let channels: Int
    /// On which rung of the ladder it is, going down or up; the middle is the last one's.
    let rung: Int
}

extension UNetConfiguration {
    /// All layers of cross-attention in diffusers' order: down, up, middle.
    var crossAttentions: [CrossAttentionPlace] {
        let blocks = blockChannels.count
        var places: [CrossAttentionPlace] = []
        func add(_ scope: String, block: Int, rung: Int) {
            places += (0..<transformerLayers[block]).map {
                CrossAttentionPlace(
                    path: "\(scope).transformer_blocks.\($0).attn2", channels: blockChannels[block], rung: rung)
            }
        }
        for (block, last) in featureRungs.enumerated() where downBlockTypes[block] == .crossAttention {
            for layer in 0..<layersPerBlock[block] {
                add(
                    "down_blocks.\(block).attentions.\(layer)", block: block,
                    rung: last - layersPerBlock[block] + 1 + layer)
            }
        }
        for index in 0..<blocks where upBlockTypes[index] == .crossAttention {
            let block = blocks - 1 - index
            // A block of the way up begins on the rung on which that of the way down ends.
            for layer in 0...layersPerBlock[block] {
                add("up_blocks.\(index).attentions.\(layer)", block: block, rung: featureRungs[block] - layer)
            }
        }
        add("mid_block.attentions.0", block: blocks - 1, rung: rungCount - 1)
        return places
    }
}
