extension DecodedImage {
    /// What to tell a user who gives this picture as a photograph of what is lost or not looked at; one line each.
    public var photographWarnings: [String] {
        guard raster.hasAlpha, !transparency.isOpaque else { return losses }
        return losses + ["\(path): the picture has transparent parts; the colours stored beneath them are used"]
    }

    /// What to tell a user who gives this picture as a mask, if its alpha channel holds something: only its colours are
    /// read, and a mask painted in alpha alone would be misread. Nil for a mask that is what it seems.
    public var maskWarning: String? {
        guard raster.hasAlpha, transparency.alphaVaries else { return nil }
        let problem =
            transparency.colourVaries
            ? "the mask has transparent parts; only its colours are read"
            : "the mask seems to be painted in its alpha channel; only its colour is read, and that is the same everywhere"
        return "\(path): \(problem) (white = repaint, black = keep); save it without transparency"
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
