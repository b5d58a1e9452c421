extension DecodedImage {
    /// What to tell a user who gives this picture as a photograph of what is lost or not looked at; one line each.
    public var photographWarnings: [String] {
        guard raster.hasAlpha, !transparency.isOpaque else { return losses }
        return losses + ["\(path): the picture has transparent parts; the colours stored beneath them are used"]
    }

    /// The mask that is in this picture's alpha channel: white where it is transparent. Nil without such a channel.
    public var transparencyMask: GreyImage? {
        guard raster.hasAlpha else { return nil }
        let channels = raster.channels
        return GreyImage(
            width: width, height: height,
            bytes: stride(from: channels - 1, to: raster.bytes.count, by: channels).map { 255 - raster.bytes[$0] })
    }

    /// The mask that this picture is, and what to tell the user about the way it is read, if that is not plain.
    ///
    /// Its colours are read, white = repaint; but where they say nothing, being one colour or a photograph's, and the
    /// alpha channel says something, that is read: what is transparent is repainted.
    public var paintedMask: (grey: GreyImage, warning: String?, isInAlpha: Bool) {
        let transparency = raster.hasAlpha ? transparency : Transparency()
        guard transparency.alphaVaries, let mask = transparencyMask else { return (grey, nil, false) }
        guard !transparency.colourVaries || looksLikeNoMask else {
            return (
                grey,
                "\(path): the mask has transparent parts; only its colours are read (white = repaint, black = keep); "
                    + "save it without transparency", false
            )
        }
        return (
            mask,
            "\(path): the mask is read from its alpha channel, since its colours are "
                + "\(transparency.colourVaries ? "a photograph's" : "the same everywhere"): what is transparent is "
                + "repainted, unless --invert-mask is given", true
        )
    }

    private struct Transparency {
        var isOpaque = true
        var alphaVaries = false
        var colourVaries = false
    }

    private var transparency: Transparency {
        let channels = raster.channels
        let alpha = channels - 1
        var found = Transparency()
        for start in stride(from: 0, to: raster.bytes.count, by: channels) {
            if raster.bytes[start + alpha] != 255 { found.isOpaque = false }
            if raster.bytes[start + alpha] != raster.bytes[alpha] { found.alphaVaries = true }
            for channel in 0..<alpha where raster.bytes[start + channel] != raster.bytes[channel] {
                found.colourVaries = true
            }
        }
        return found
    }
}
